# Copyright The unimo authors. Licensed under the Apache License, Version 2.0.
"""The configuration of a model of unimo, for Hugging Face's transformers."""

from transformers import PretrainedConfig


class UnimoConfig(PretrainedConfig):
    """config.json of a folder of unimo; `kind` is its problem_type, of which transformers knows two."""

    model_type = "unimo"

    def __init__(
        self,
        vocab_size=50265,
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        max_position_embeddings=514,
        hidden_act="gelu",
        pooler_act=None,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
        initializer_range=0.02,
        layer_norm_eps=1e-5,
        type_vocab_size=0,
        problem_type=None,
        **kwargs,
    ):
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.max_position_embeddings = max_position_embeddings
        self.hidden_act = hidden_act
        self.pooler_act = pooler_act
        self.hidden_dropout_prob = hidden_dropout_prob
        self.attention_probs_dropout_prob = attention_probs_dropout_prob
        self.initializer_range = initializer_range
        self.layer_norm_eps = layer_norm_eps
        self.type_vocab_size = type_vocab_size
        self.kind = problem_type or kwargs.pop("kind", None)
        known = ("single_label_classification", "regression")
        super().__init__(problem_type=self.kind if self.kind in known else None, **kwargs)

    def to_dict(self):
        """A folder that transformers saves is one of unimo again."""
        d = super().to_dict()
        kind = d.pop("kind", None)
        if kind:
            d["problem_type"] = kind
        if self.problem_type:
            d["num_labels"] = self.num_labels
        return d
