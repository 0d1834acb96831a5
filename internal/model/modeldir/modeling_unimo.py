# Copyright The unimo authors. Licensed under the Apache License, Version 2.0.
"""UNIMO's text encoder and its classifier, for Hugging Face's transformers.

    tokenizer = AutoTokenizer.from_pretrained(DIR)
    model = AutoModelForSequenceClassification.from_pretrained(DIR, trust_remote_code=True)
    model(**tokenizer("a gripping and funny film", return_tensors="pt")).logits

Parameters have the names of model.safetensors. Text alone is read: what a model does with
images, and the writing of texts, is unimo's own.
"""

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling, SequenceClassifierOutput

from .configuration_unimo import UnimoConfig

FIRST_POSITION = 2  # as in RoBERTa
POOLER_ACTS = {None: torch.relu, "relu": torch.relu, "tanh": torch.tanh, "gelu": F.gelu}


class Affine(nn.Module):
    """x w + b, with w of shape [in, out]."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.w_0 = nn.Parameter(torch.empty(inputs, outputs))
        self.b_0 = nn.Parameter(torch.empty(outputs))

    def forward(self, x):
        return x @ self.w_0 + self.b_0


class UnimoPreTrainedModel(PreTrainedModel):
    config_class = UnimoConfig
    base_model_prefix = ""

    def __init__(self, config):
        super().__init__(config)
        if config.kind == "dialogue":
            raise ValueError("a dialogue has roles and turns, which only unimo reads: use 'unimo chat' or 'unimo generate'")
        if config.hidden_act not in ("gelu", "relu"):
            raise ValueError(f"hidden_act is {config.hidden_act!r}; UNIMO has gelu or relu")
        if config.pooler_act not in POOLER_ACTS:
            raise ValueError(f"pooler_act is {config.pooler_act!r}; it can be relu, tanh or gelu")
        h = config.hidden_size
        self.word_embedding = nn.Parameter(torch.empty(config.vocab_size, h))
        self.pos_embedding = nn.Parameter(torch.empty(config.max_position_embeddings, h))
        if config.type_vocab_size > 1:  # type 0 is in the positions; the others are what they have beside it
            self.type_embedding = nn.Parameter(torch.empty(config.type_vocab_size - 1, h))
        self._add_norm("pre_encoder")
        for i in range(config.num_hidden_layers):
            name = f"encoder_layer_{i}_"
            for part in ("query", "key", "value", "output"):
                self.add_module(f"{name}multi_head_att_{part}_fc", Affine(h, h))
            self._add_norm(name + "post_att")
            self.add_module(name + "ffn_fc_0", Affine(h, 4 * h))
            self.add_module(name + "ffn_fc_1", Affine(4 * h, h))
            self._add_norm(name + "post_ffn")
        self.pooled_fc_text = Affine(h, h) if config.problem_type or config.pooler_act else None

    def _add_norm(self, name):
        for part in ("scale", "bias"):
            self.register_parameter(f"{name}_layer_norm_{part}", nn.Parameter(torch.empty(self.config.hidden_size)))

    @torch.no_grad()
    def _init_weights(self, module):
        for name, p in module.named_parameters(recurse=False):
            if name.endswith("_scale"):
                p.fill_(1)
            elif name.endswith(("b_0", "_b", "_bias")):
                p.zero_()
            else:
                p.normal_(0, self.config.initializer_range)

    def _norm(self, name, x):
        scale, bias = getattr(self, name + "_layer_norm_scale"), getattr(self, name + "_layer_norm_bias")
        return F.layer_norm(x, (self.config.hidden_size,), scale, bias, self.config.layer_norm_eps)

    def _drop(self, x):
        return F.dropout(x, self.config.hidden_dropout_prob, self.training)

    def encode(self, input_ids, attention_mask=None, position_ids=None, token_type_ids=None):
        """Returns the last layer's output [B,L,H] and, of a model with a head or a pooler, that of the pooled first token [B,H]."""
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        seen = attention_mask.bool()
        if position_ids is None:
            position_ids = FIRST_POSITION + (seen.cumsum(1) - 1).clamp(min=0)
        if int(position_ids.max()) >= self.config.max_position_embeddings:
            n = self.config.max_position_embeddings - FIRST_POSITION
            raise ValueError(f"a text of more than {n} tokens: cut it with tokenizer(..., truncation=True, max_length={n})")
        x = F.embedding(input_ids, self.word_embedding) + F.embedding(position_ids, self.pos_embedding)
        if self.config.type_vocab_size > 1 and token_type_ids is not None:
            x = x + F.embedding(token_type_ids, F.pad(self.type_embedding, (0, 0, 1, 0)))
        x = self._drop(self._norm("pre_encoder", x))
        heads = self.config.num_attention_heads
        for i in range(self.config.num_hidden_layers):
            name = f"encoder_layer_{i}_"
            q, k, v = (
                getattr(self, f"{name}multi_head_att_{part}_fc")(x).unflatten(-1, (heads, -1)).transpose(1, 2)
                for part in ("query", "key", "value")
            )
            dropout = self.config.attention_probs_dropout_prob if self.training else 0.0
            a = F.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None, None, :], dropout_p=dropout)
            a = getattr(self, name + "multi_head_att_output_fc")(a.transpose(1, 2).flatten(-2))
            x = self._norm(name + "post_att", x + self._drop(a))
            f = getattr(self, name + "ffn_fc_1")(getattr(F, self.config.hidden_act)(getattr(self, name + "ffn_fc_0")(x)))
            x = self._norm(name + "post_ffn", x + self._drop(f))
        pooled = None
        if self.pooled_fc_text is not None:
            first = seen.int().argmax(1)  # where texts are padded on the left it is not the first place
            pooled = POOLER_ACTS[self.config.pooler_act](self.pooled_fc_text(x[torch.arange(len(x), device=x.device), first]))
        return x, pooled


class UnimoModel(UnimoPreTrainedModel):
    """The text encoder."""

    def __init__(self, config):
        super().__init__(config)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, position_ids=None, token_type_ids=None, return_dict=True, **kwargs):
        """token_type_ids are looked at where type_vocab_size says that there are types."""
        x, pooled = self.encode(input_ids, attention_mask, position_ids, token_type_ids)
        out = BaseModelOutputWithPooling(last_hidden_state=x, pooler_output=pooled)
        return out if return_dict else out.to_tuple()


class UnimoForSequenceClassification(UnimoPreTrainedModel):
    """The text encoder with a head: a score for each class, or one of a regression."""

    def __init__(self, config):
        super().__init__(config)
        if config.problem_type is None:
            raise ValueError(f"the model is one for {config.kind or 'pre-training'} and has no head for classes: use AutoModel, or fine-tune it with unimo")
        n = config.num_labels
        self.register_parameter(f"cls_out_{n}_w", nn.Parameter(torch.empty(config.hidden_size, n)))
        self.register_parameter(f"cls_out_{n}_b", nn.Parameter(torch.empty(n)))
        self.post_init()

    def forward(self, input_ids, attention_mask=None, position_ids=None, token_type_ids=None, labels=None, return_dict=True, **kwargs):
        """token_type_ids are looked at where type_vocab_size says that there are types."""
        _, pooled = self.encode(input_ids, attention_mask, position_ids, token_type_ids)
        n = self.config.num_labels
        logits = self._drop(pooled) @ getattr(self, f"cls_out_{n}_w") + getattr(self, f"cls_out_{n}_b")
        loss = None
        if labels is not None and self.config.problem_type == "regression":
            loss = F.mse_loss(logits.squeeze(-1), labels.float())
        elif labels is not None:
            loss = F.cross_entropy(logits, labels)
        out = SequenceClassifierOutput(loss=loss, logits=logits)
        return out if return_dict else out.to_tuple()
