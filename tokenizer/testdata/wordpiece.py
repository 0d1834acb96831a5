"""Makes wordpiece/: small BERT vocabularies and what transformers makes of texts.

    python wordpiece.py        # needs transformers 5

cased/ and uncased/ are vocab.txt and tokenizer_config.json; tokenizer.json in fast/ is
the second one's. encode.json holds texts and their ids without special tokens, by setting.
"""

import json
import os
import random
import shutil

from tokenizers import normalizers, pre_tokenizers
from transformers import AutoTokenizer, BertTokenizer

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wordpiece")
SPECIAL = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

CORPUS = """
A man is riding a bicycle down the street while two dogs are running after him.
Three children are playing football on the green grass; one of them wears a Red shirt.
The black dog jumps over the wooden fence, and an old woman watches it happily.
People sit at tables outside of the Café in Zürich, drinking coffee and reading newspapers.
She said: "I can't believe it's already 12:30!" He didn't answer (he was eating a sandwich).
In 1998, 2,500 people - men, women & children - went to São Paulo, Kraków or Ålesund.
Unbelievably, the uninteresting photographer photographed the photogenic mountains.
Москва столица России. Η Αθήνα είναι πόλη. 日本語 東京 北京 한국어 서울 नमस्ते العربية
email@example.com http://www.example.com/a_b?c=d#e 50% $3.99 €20 £5 C++ #tag ~ ^ | \\ ` { } [ ] < >
naïve résumé façade coöperate Ångström İstanbul ΣΊΣΥΦΟΣ straße ﬁne ½ ² 😀 👍🏽 🇩🇪 … – — “quoted” ‘single’ « guillemets »
"""

TEXTS = [
    "", " ", "\n\t\r ", "a", "A", "hello", "the", "The man, the dog; and the woman.", "unbelievable", "photographs",
    "bicycles bicycling bicycled", "can't won't it's", "U.S.A.", "...", "!?!", "(hello)[world]{x}", "a-b_c", "a/b\\c", "$3.99", "50%",
    "[CLS] [MASK] [SEP]", "##ing", "a##b", "#", "##", "[", "]", "[]", "[unused0]",
    "Café Zürich São Paulo Kraków Ålesund", "Cafe\u0301 Zu\u0308rich", "e\u0301\u0302\u0303", "\u0301", "a \u0301b", "İstanbul", "istanbul",
    "ΣΊΣΥΦΟΣ ΟΔΟΣ", "STRASSE straße ẞ", "ﬁne ﬂow", "Ǆ ǅ ǆ", "Å Å", "½ ² ①", "ÅÄÖ åäö",
    "日本語", "東京tower北京", "a日b本c", "日\u0301本", "\u3400\u4dbf\u4e00\u9fff\uf900\ufaff", "\U00020000\U0002a6df\U0002f800", "ひらがな カタカナ ｶﾀｶﾅ", "한국어 서울", "\u1100\u1161\u11a8", "全角ＡＢＣ１２３！",
    "नमस्ते", "العربية مُحَمَّد", "שָׁלוֹם", "ไทย", "Москва Ёлка й", "ёлка ЙОД",
    "😀", "a😀b", "👍🏽", "🇩🇪", "👨\u200d👩\u200d👧", "❤\ufe0f", "™ © ® ° ± × ÷ § ¶ † ‡ • · ¡ ¿",
    "a\u0000b", "a\u0001b\u001fc\u007fd\u0085e\u009f", "a\u200bb\u200cc\u200dd\u200ee\ufefff", "a\u00adb", "\ufffd a\ufffdb", "a\ue000b", "\U000e0001x",
    "a\u00a0b\u2003c\u3000d\u2028e\u2029f\u1680g\u202fh", "a\tb\nc\rd\x0be\x0cf", "tab\t\ttab",
    "“quoted” ‘single’ « guillemets » … – — ―", "、。「」・", "؟ ، ؛", "։ ׃ ।", "_‿⁀", "~`^|<>=+$", "€20 £5 ¥100", "ª º ʰ ʼ",
    "x" * 99, "x" * 100, "x" * 101, "dog" * 33, "dog" * 34, "é" * 100, "e\u0301" * 100, "İ" * 100, "İ" * 50, "の" * 101, "日" * 101, "a" * 100 + "." + "b" * 101,
    "dog" * 33 + "\u200b" + "s", "123456789012345678901234567890", "3.14159", "1,000,000", "12:30pm", "2020-01-01",
    "email@example.com http://www.example.com/a_b?c=d#e", "C++ C# F#", "snake_case CamelCase kebab-case",
]

# The ends of what BERT takes for CJK characters, inside and outside.
for first, last in ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0x2F800, 0x2FA1F)):
    TEXTS += ["a" + chr(c) for c in (first - 1, first, last, last + 1)]


def random_texts(n):
    r = random.Random(6)
    words = CORPUS.split()
    odd = ["\u0301", "\u200d", "\u00ad", "\u0000", "\t", "\u3000", "日", "é", "É", "İ", "Σ", "ß", "😀", "-", "'", "…", "한", "\ufffd", "##", "\u0345", "ά", "ᾳ", "Ⅷ", "٣", "\u302a", "\u0903"]
    for _ in range(n):
        parts = []
        for _ in range(r.randint(1, 8)):
            word = r.choice(words)
            change = r.randrange(6)
            if change == 0:
                word = word.upper()
            elif change == 1:
                word = word[: r.randint(0, len(word))] + r.choice(odd) + word[r.randint(0, len(word)) :]
            elif change == 2:
                word = "".join(r.sample(word, len(word)))
            elif change == 3:
                word += r.choice(odd)
            parts.append(word)
        yield r.choice([" ", "", "  "]).join(parts)


def vocabulary(lower):
    r = random.Random(7)
    normal = normalizers.BertNormalizer(lowercase=lower).normalize_str(CORPUS)
    tokens = set()
    for word in sorted({word for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(normal)}):
        tokens |= set(word) | {"##" + c for c in word[1:]}
        start, end = r.randint(1, len(word)), r.randint(0, len(word) - 1)
        if start > 1:
            tokens |= {word[:start], "##" + word[end:] if end else word}
    return SPECIAL + sorted(tokens)


def write(name, content):
    os.makedirs(os.path.dirname(os.path.join(HERE, name)), exist_ok=True)
    with open(os.path.join(HERE, name), "w", encoding="utf-8", newline="\n") as f:
        f.write(content)


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    texts = TEXTS + CORPUS.strip().splitlines() + list(random_texts(250))
    result = {"texts": texts, "ids": {}}
    for name, lower in (("cased", False), ("uncased", True)):
        vocab = vocabulary(lower)
        write(f"{name}/vocab.txt", "".join(token + "\n" for token in vocab))
        write(f"{name}/tokenizer_config.json", json.dumps({"do_lower_case": lower, "tokenizer_class": "BertTokenizer"}) + "\n")
        settings = {name: {}, name + " accents": {"strip_accents": not lower}, name + " cjk": {"tokenize_chinese_chars": False}}
        for setting, options in settings.items():
            t = BertTokenizer(vocab={token: i for i, token in enumerate(vocab)}, do_lower_case=lower, **options)
            t._tokenizer.encode_special_tokens = True # "[CLS]" in a text is text
            result["ids"][setting] = [t._tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
            if setting == "uncased":
                t.save_pretrained(os.path.join(HERE, "fast"))
                os.remove(os.path.join(HERE, "fast", "tokenizer_config.json"))
        auto = AutoTokenizer.from_pretrained(os.path.join(HERE, name)) # what a user would call
        assert auto("Two dogs", add_special_tokens=False).input_ids == BertTokenizer.from_pretrained(os.path.join(HERE, name))("Two dogs", add_special_tokens=False).input_ids
    write("encode.json", json.dumps(result, separators=(",", ":")).replace("],[", "],\n[") + "\n")


if __name__ == "__main__":
    main()
