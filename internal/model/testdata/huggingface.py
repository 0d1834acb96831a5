"""Makes huggingface/: tiny random models as transformers writes them, what they compute, and what MiniLM computes.

  python3 huggingface.py [MINILM]

MINILM is the folder of all-MiniLM-L6-v2 (config.json, weights, tokenizer). Needs torch, transformers and safetensors.
"""
import json
import os
import sys

import torch
import transformers
from safetensors.torch import save_file

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "huggingface")
size = dict(vocab_size=270, hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=48, max_position_embeddings=24)
lengths = [12, 3, 1]


def make(name, model, first, padding, labels=None):
    """Random values everywhere, so that nothing is left at a zero that could hide a mistake."""
    torch.manual_seed(6)
    with torch.no_grad():
        for key, p in model.named_parameters():
            p.copy_(torch.randn_like(p) * 0.3 + (1 if "norm.weight" in key.lower() else 0))
    model.eval().save_pretrained(os.path.join(out, name))
    ids = torch.randint(first, size["vocab_size"], (len(lengths), max(lengths)))
    mask = torch.zeros_like(ids)
    for i, n in enumerate(lengths):
        ids[i, n:], mask[i, :n] = padding, 1
    with torch.inference_mode():
        result = model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    real = mask.bool()
    expected = {"tokens": ids[real], "lengths": torch.tensor(lengths), "hidden": result.hidden_states[-1][real]}
    if "pooler_output" in result:
        expected["pooled"] = result.pooler_output
    if labels is not None:
        result = model(input_ids=ids, attention_mask=mask, labels=labels)
        result.loss.backward()
        expected |= {"labels": labels, "logits": result.logits.detach(), "loss": result.loss.detach()[None]}
        expected |= {"gradient of " + key: p.grad for key, p in model.named_parameters() if "layer.0" in key or "embeddings" not in key and "layer." not in key}
    elif "logits" in result and result.logits.shape[-1] == size["vocab_size"]:
        expected["logits"] = result.logits[real]
    if getattr(model.config, "type_vocab_size", 1) > 1 and model.config.model_type in ("bert", "electra"):
        first = torch.tensor([5, 3, 1])  # tokens of the first text of a pair
        types = (torch.arange(ids.shape[1])[None] >= first[:, None]).long()
        with torch.inference_mode():
            pairs = model(input_ids=ids, attention_mask=mask, token_type_ids=types, output_hidden_states=True)
        expected |= {"first": first, "pairs": pairs.hidden_states[-1][real]}
        if "pooler_output" in pairs:
            expected["pooled_pairs"] = pairs.pooler_output
    save_file({k: v.contiguous() for k, v in expected.items()}, os.path.join(out, name, "expected.safetensors"))


def minilm(folder):
    sentences = [
        "a charming and often affecting journey .",
        "Unflinchingly bleak, and desperate!",
        "Two dogs run across the café's lawn; a child (in a red-striped shirt) watches them from behind the window, and nobody says a word.",
        "?",
    ]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    cases = []
    with torch.inference_mode():
        for s in sentences:
            ids = tokenizer(s)["input_ids"]
            hidden = model(input_ids=torch.tensor([ids])).last_hidden_state[0].double()
            cases.append({"text": s, "tokens": ids, "first": hidden[0, :8].tolist(), "mean_magnitude": hidden.abs().mean().item(), "largest": hidden.abs().max().item()})
    with open(os.path.join(out, "minilm.json"), "w") as f:
        f.write("[" + ",\n ".join(map(json.dumps, cases)) + "]\n")


t = transformers
make("roberta", t.RobertaForMaskedLM(t.RobertaConfig(**size, type_vocab_size=1, layer_norm_eps=1e-5)), 2, 1)
make("bert", t.BertForMaskedLM(t.BertConfig(**size)), 1, 0)
make("bert-encoder", t.BertModel(t.BertConfig(**size)), 1, 0)
make("bert-classifier", t.BertForSequenceClassification(t.BertConfig(**size, num_labels=3)), 1, 0, torch.tensor([2, 0, 1]))
make("bert-scorer", t.BertForSequenceClassification(t.BertConfig(**size, num_labels=1)), 1, 0, torch.tensor([2.0, 0.5, -1.0]))
roberta = t.RobertaConfig(**size, type_vocab_size=1, layer_norm_eps=1e-5, id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1})
make("roberta-classifier", t.RobertaForSequenceClassification(roberta), 2, 1, torch.tensor([1, 0, 1]))
make("electra-classifier", t.ElectraForSequenceClassification(t.ElectraConfig(**size, embedding_size=12, num_labels=3)), 1, 0, torch.tensor([2, 0, 1]))
make("xlm-roberta", t.XLMRobertaForMaskedLM(t.XLMRobertaConfig(**size, type_vocab_size=2, layer_norm_eps=1e-5)), 2, 1)
make("electra", t.ElectraForPreTraining(t.ElectraConfig(**size, embedding_size=12)), 1, 0)
make("electra-generator", t.ElectraForMaskedLM(t.ElectraConfig(**size, embedding_size=12)), 1, 0)
make("electra-small", t.ElectraModel(t.ElectraConfig(**size, embedding_size=6)), 1, 0)
distil = dict(vocab_size=270, dim=12, n_layers=2, n_heads=3, hidden_dim=48, max_position_embeddings=24)
make("distilbert", t.DistilBertForMaskedLM(t.DistilBertConfig(**distil)), 1, 0)
distil_classes = t.DistilBertForSequenceClassification(t.DistilBertConfig(**distil, num_labels=4, problem_type="single_label_classification"))
make("distilbert-classifier", distil_classes, 1, 0, torch.tensor([3, 0, 1]))
make("distilbert-relu", t.DistilBertForMaskedLM(t.DistilBertConfig(**distil, activation="relu")), 1, 0)
for folder in sys.argv[1:]:
    minilm(folder)
print(f"torch {torch.__version__}, transformers {transformers.__version__}")
