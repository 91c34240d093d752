"""Writes Tests/Fixtures/tokenizers/components.json.gz and the small SentencePiece models beside it: every kind of normalizer,
pre-tokenizer, post-processor, decoder and model of the `tokenizers` library, with what the library makes of a list of texts.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3
    python Scripts/make_tokenizer_component_cases.py
"""
import base64
import gzip
import io
import json
import os
import random

import sentencepiece
from tokenizers import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "Tests", "Fixtures", "tokenizers")

TEXTS = [
    "", " ", "  ", "Hello, world!", " leading and trailing ", "It's 2024: 1234567 items, we'LL see", "a\nb\r\nc\n\n\nd", "tab\tand\u00a0nbsp\u3000x",
    "na\u00efve cafe\u0301 \u00c5ngstr\u00f6m \ufb01 \u00bd \u2167 \u2460", "STRA\u00dfE \u0130stanbul \u01c5 \u1e9e", "\u65e5\u672c\u8a9e\u30c6\u30b9\u30c8 \u6f22\u5b57kana\u3072\u3089",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0928\u092e\u0938\u094d\u0924\u0947 \ud55c\uad6d\uc5b4 \u1112\u1161\u11ab", "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 ok \U0001f1e9\U0001f1ea",
    "x\u0000y\u0007z\ufffd\u200b\u00ad", "the-final--countdown", "don't can't \u2019s '\u017fa 'S", "\u2581under \u2581\u2581bar\u2581", "___a_b__ 12,345.67 \u0661\u0662\u0663 $5+3=8",
    "<tok>a <tok> b<tok", "a\u0323\u0307 \u0344 \u0958 \ufb2c q\u0307\u0323", "\u0410\u0411\u0412 \u03b1\u03b2\u03b3 abc\u0410 \u05d0\u05d1", "C:\\path\\file.txt http://x.y/z?q=1#f", "\u1d2d\u33a5\u212b\u2126\uff21\uff22",
    "aaaaaaaaaaaaaaaaaaaa bbbbbbbbbb", "e\u0301\u0301\u0301e x\u0302y\u0304\u0301", "\u00e9\u00e8 \r\n \u0085\u2028\u180e.", "abc def ghi jkl mno", "\u0c95\u0ccd\u0cb7 \u0f40\u0fb2\u0f71\u0f74 \uac01\u11a8",
]
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
NORMALIZERS = [
    {"type": k} for k in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel")
] + [
    {"type": "BertNormalizer", "clean_text": c, "handle_chinese_chars": h, "strip_accents": s, "lowercase": lo}
    for c, h, s, lo in ((True, True, None, True), (True, False, False, False), (False, True, True, False), (True, True, None, False))
] + [
    {"type": "Strip", "strip_left": a, "strip_right": b} for a, b in ((True, True), (True, False), (False, True))
] + [
    {"type": "Prepend", "prepend": "\u2581"}, {"type": "Prepend", "prepend": "ab"},
    {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}, {"type": "Replace", "pattern": {"String": "ab"}, "content": ""},
    {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}, {"type": "Replace", "pattern": {"Regex": "[aeiou]"}, "content": "<v>"},
    {"type": "Replace", "pattern": {"Regex": "(?i:L)l|\\d{2}"}, "content": "\u00e9"},
    {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]},
    {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Replace", "pattern": {"String": "a"}, "content": "\u00e4\u00e4"}, {"type": "NFD"}]},
    {"type": "Sequence", "normalizers": []},
]
GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
REGEXES = [
    "\\s+", "[A-Z]?[a-z]+", "\\p{N}{1,3}", "\\w+|[^\\w\\s]+", "(?=(\\d{3})+(?!\\d))", "\\h{2}", "[\\p{L}&&[^a-z]]+", "[[:punct:]]+", "\\p{Han}+|\\p{Hiragana}+",
    "[^\\S\\n]+", "(?m:a.b)", "a{2}+", "a{,2}", "\\bx|\\b\\w", "^.|.$", "[a[0-9]]+", "(?i:'s|'t)", "\\p{^L}+", "\\P{L}+", "\\p{Lu}\\p{Ll}*", "\\p{Uppercase_Letter}",
    "\\p{Punct}", "[\\w']+", "\\R", "[^\\d\\s]+", "(\\w)\\1", "(?<=a)b|x*", "\\S+$", "[\\u4e00-\\u9fff]", "\\p{M}+", "[!-/:-~\uff01-\uff0f]+", "\\d+(?:,\\d+)*|\\D", "[\\]a\\-z]+", "[&a]&", GPT2,
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
]
PRETOKENIZERS = [
    {"type": k} for k in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "UnicodeScripts")
] + [{"type": "Punctuation", "behavior": b} for b in BEHAVIORS] + [{"type": "Punctuation"}] + [
    {"type": "ByteLevel", "add_prefix_space": a, "trim_offsets": True, "use_regex": r} for a in (True, False) for r in (True, False)
] + [{"type": "CharDelimiterSplit", "delimiter": d} for d in ("-", "\u2581", " ")] + [
    {"type": "Digits", "individual_digits": d} for d in (True, False)
] + [{"type": "FixedLength", "length": n} for n in (1, 3, 5)] + [
    {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": s, "split": p} for s in ("first", "never", "always") for p in (True, False)
] + [{"type": "Metaspace", "replacement": "_", "add_prefix_space": True, "str_rep": "_"}] + [
    {"type": "Split", "pattern": {"String": p}, "behavior": b, "invert": i} for p in (" ", "a", "--") for b in BEHAVIORS for i in (False, True)
] + [
    {"type": "Split", "pattern": {"Regex": p}, "behavior": b, "invert": i} for p in ("\\s+", GPT2, "\\p{L}+", "x*") for b in BEHAVIORS for i in (False, True)
] + [{"type": "Split", "pattern": {"Regex": p}, "behavior": "Isolated", "invert": False} for p in REGEXES] + [
    {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}]},
    {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False}]},
    {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}, {"type": "Digits", "individual_digits": True}]},
    {"type": "Sequence", "pretokenizers": [{"type": "UnicodeScripts"}, {"type": "Punctuation", "behavior": "Contiguous"}]},
]

PIECES = ["Hello", "\u2581world", "##ing", ",", "<0xE4>", "<0xBD>", "<0xA0>", "<0xFF>", "\u0120the", "end</w>", "|", "<pad>", "<pad>", "a", "a", " n't", "\u2581", "\u2581\u2581x", "##", "\u00e9", "do not", "<0x41>", ".", "'s", "Good</w>", "<0x+A>", "\ufffd"]
DECODERS = [None] + [{"type": k} for k in ("ByteFallback", "Fuse")] + [
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}, {"type": "BPEDecoder", "suffix": "</w>"},
    {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True}, {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": False},
    {"type": "WordPiece", "prefix": "##", "cleanup": True}, {"type": "WordPiece", "prefix": "##", "cleanup": False},
] + [{"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": s, "split": True} for s in ("first", "never", "always")] + [
    {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "Replace", "pattern": {"Regex": "[aeiou]"}, "content": "*"},
    {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}]},
    {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "Fuse"}, {"type": "Strip", "content": "H", "start": 2, "stop": 0}]},
    {"type": "Sequence", "decoders": [{"type": "WordPiece", "prefix": "##", "cleanup": True}, {"type": "Fuse"}, {"type": "Replace", "pattern": {"String": "a"}, "content": "A"}]},
]


def document(model, **parts):
    base = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
            "post_processor": None, "decoder": None, "model": model}
    return {**base, **parts}


def rows(tok, texts):
    out = []
    for t in texts:
        e = tok.encode(t, add_special_tokens=True)
        raw, offsets = t.encode(), []
        at = [0]
        for ch in t:
            at.append(at[-1] + len(ch.encode()))
        for a, b in e.offsets:
            offsets.append([at[a], at[b]])
        out.append({"text": t, "ids": e.ids, "offsets": offsets, "types": e.type_ids})
    return out


def words_of(doc, texts):
    """A vocabulary of every word that the texts give, so that ids tell words apart."""
    probe = Tokenizer.from_str(json.dumps(document({"type": "WordLevel", "vocab": {"<unk>": 0}, "unk_token": "<unk>"}, **doc)))
    words = ["<unk>"]
    for t in texts:
        n = probe.normalizer.normalize_str(t) if probe.normalizer else t
        pieces = [p for p, _ in probe.pre_tokenizer.pre_tokenize_str(n)] if probe.pre_tokenizer else [n]
        words += [p for p in pieces if p not in words]
    return {w: i for i, w in enumerate(dict.fromkeys(words)) if w}


def group(name, doc, texts=TEXTS, decodes=(), pairs=()):
    tok = Tokenizer.from_str(json.dumps(doc))
    g = {"name": name, "tokenizer": doc, "rows": rows(tok, texts)}
    g["decodes"] = [{"ids": d, "text": tok.decode(d, skip_special_tokens=False)} for d in decodes]
    g["pairs"] = []
    for a, b in pairs:
        e = tok.encode(a, b)
        g["pairs"].append({"a": a, "b": b, "ids": e.ids, "types": e.type_ids})
    return g


def attempt(groups, name, make):
    try:
        groups.append(make())
    except BaseException as error:  # noqa: BLE001  the library panics on some of its own inputs
        print("left out", name, str(error)[:80])


def main():
    rng, groups = random.Random(5), []
    for n in NORMALIZERS:
        part = {"normalizer": n, "pre_tokenizer": {"type": "FixedLength", "length": 2}}
        attempt(groups, n, lambda: group("normalizer " + json.dumps(n), document({"type": "WordLevel", "vocab": words_of(part, TEXTS), "unk_token": "<unk>"}, **part)))
    for p in PRETOKENIZERS:
        part = {"pre_tokenizer": p}
        attempt(groups, p, lambda: group("pre_tokenizer " + json.dumps(p), document({"type": "WordLevel", "vocab": words_of(part, TEXTS), "unk_token": "<unk>"}, **part)))
    lists = [[rng.randrange(len(PIECES)) for _ in range(rng.randrange(1, 9))] for _ in range(150)]
    for d in DECODERS:
        doc = document({"type": "WordLevel", "vocab": {p: i for i, p in enumerate(dict.fromkeys(PIECES))}, "unk_token": "a"}, decoder=d)
        size = len(doc["model"]["vocab"])
        attempt(groups, d, lambda: group("decoder " + json.dumps(d), doc, [], [[i % size for i in ids] for ids in lists]))
    pre = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    vocab = words_of({"pre_tokenizer": pre}, TEXTS)
    cls, sep = len(vocab), len(vocab) + 1
    vocab = {**vocab, "<cls>": cls, "<sep>": sep}
    special = {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in (("<cls>", cls), ("<sep>", sep))}
    tpl = {"type": "TemplateProcessing", "special_tokens": special,
           "single": [{"SpecialToken": {"id": "<cls>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 3}}, {"SpecialToken": {"id": "<sep>", "type_id": 2}}],
           "pair": [{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "<sep>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]}
    bl = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    for p in ([tpl, bl, {**bl, "add_prefix_space": False}, {"type": "BertProcessing", "sep": ["<sep>", sep], "cls": ["<cls>", cls]},
               {"type": "Sequence", "processors": [bl, tpl]}]
              + [{"type": "RobertaProcessing", "sep": ["<sep>", sep], "cls": ["<cls>", cls], "trim_offsets": t, "add_prefix_space": a} for t in (True, False) for a in (True, False)]):
        doc = document({"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}, pre_tokenizer=pre, post_processor=p)
        attempt(groups, p, lambda: group("post_processor " + json.dumps(p), doc, pairs=[("Hello world", "a b"), ("", "x"), ("x", "")]))
    models(groups)
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as f:
        f.write(json.dumps({"groups": groups, "sentencepiece": sentencepieces()}).encode())
    open(os.path.join(OUT, "components.json.gz"), "wb").write(buffer.getvalue())
    print(len(groups), "groups", len(buffer.getvalue()), "bytes")


def models(groups):
    ws = {"type": "WhitespaceSplit"}
    chars = {c: i for i, c in enumerate("<unk> a b c d e h l o r w H W ab abc lo llo Hello world wor ld aa aaa aaaa".split(" "))}
    merges = ["a b", "ab c", "l o", "l lo", "a a", "aa a", "aa aa", "w o", "wo r", "H e"]
    chars.update({"wo": len(chars), "He": len(chars) + 1})
    for name, extra in (("plain", {}), ("unk", {"unk_token": "<unk>"}), ("fused", {"unk_token": "<unk>", "fuse_unk": True}),
                        ("whole", {"unk_token": "<unk>", "ignore_merges": True}), ("pairs", {"merges": [m.split(" ") for m in merges]})):
        doc = document({"type": "BPE", "vocab": chars, "merges": merges, **extra}, pre_tokenizer=ws)
        attempt(groups, name, lambda: group("bpe " + name, doc, TEXTS + ["Hello world", "aaaaaaa abcab", "xx ab yy"]))
    fall = {**chars, **{f"<0x{b:02X}>": len(chars) + b for b in range(256)}}
    attempt(groups, "fallback", lambda: group("bpe fallback", document({"type": "BPE", "vocab": fall, "merges": merges, "byte_fallback": True, "unk_token": "<unk>", "fuse_unk": True})))
    some = {k: v for k, v in fall.items() if k not in ("<0xC3>", "<0xE6>")}
    attempt(groups, "fallback-some", lambda: group("bpe fallback, some bytes", document({"type": "BPE", "vocab": some, "merges": merges, "byte_fallback": True, "unk_token": "<unk>", "fuse_unk": True})))
    suffix = {c: i for i, c in enumerate("<unk> a b c a</w> b</w> c</w> ab ab</w> bc</w> abc</w>".split(" "))}
    attempt(groups, "suffix", lambda: group("bpe suffix", document({"type": "BPE", "vocab": suffix, "merges": ["a b", "a b</w>", "b c</w>", "ab c</w>"], "end_of_word_suffix": "</w>", "unk_token": "<unk>"}, pre_tokenizer=ws), ["abc ab a b c abcabc", "x ab"]))
    prefix = {c: i for i, c in enumerate("<unk> a b c ##a ##b ##c ab ##bc abc".split(" "))}
    attempt(groups, "prefix", lambda: group("bpe prefix", document({"type": "BPE", "vocab": prefix, "merges": ["a ##b", "##b ##c", "ab ##c"], "continuing_subword_prefix": "##", "unk_token": "<unk>"}, pre_tokenizer=ws), ["abc ab a b c abcabc", "x ab bca"]))
    wp = {c: i for i, c in enumerate("[UNK] a ab ##b ##c ##bc hello ##lo hel \u6f22 ##\u5b57 x".split(" "))}
    for most in (100, 5):
        for typed in (True, False):
            m = {"unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": most, "vocab": wp}
            if typed:
                m["type"] = "WordPiece"
            attempt(groups, "wp", lambda: group(f"wordpiece {most} {typed}", document(m, pre_tokenizer=ws), TEXTS + ["abc hello helloabc abbc xabc \u6f22\u5b57"]))
    uni = [["<unk>", 0.0], ["a", -2.0], ["b", -2.5], ["ab", -3.0], ["abc", -6.0], ["c", -4.0], ["\u2581", -1.0], ["\u2581a", -2.2], ["l", -3], ["lo", -3.5], ["H", -5], ["e", -1.5]]
    for unk in (0, None):
        for fb in (False, True):
            v = uni + ([[f"<0x{b:02X}>", -9.0] for b in range(256)] if fb else [])
            ms = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
            attempt(groups, "unigram", lambda: group(f"unigram unk {unk} bytes {fb}", document({"type": "Unigram", "unk_id": unk, "vocab": v, "byte_fallback": fb}, pre_tokenizer=ms), TEXTS + ["abcab Hello"]))
    added = [{"id": 50 + i, "content": c, "single_word": s, "lstrip": le, "rstrip": r, "normalized": n, "special": sp}
             for i, (c, s, le, r, n, sp) in enumerate((("<tok>", False, True, True, False, True), ("abc", True, False, False, True, False), ("def gh", False, False, False, True, False),
                                                      ("  ", False, False, False, False, False), ("\n", False, False, True, False, True), ("HELLO", False, True, False, True, False)))]
    for n in (None, {"type": "Lowercase"}, {"type": "Prepend", "prepend": "\u2581"}):
        doc = document({"type": "BPE", "vocab": chars, "merges": merges, "unk_token": "<unk>"}, normalizer=n, pre_tokenizer=ws, added_tokens=added)
        attempt(groups, "added", lambda: group("added " + json.dumps(n), doc, TEXTS + ["<tok>  <tok>", "a <tok>\n\n b", "Hello hello HELLO", "xabc abc abcx", "abc\n  abc <tok>"], decodes=[[50, 1, 51, 5, 52], [23, 24, 25, 26, 27, 28]]))


def sentencepieces():
    corpus = os.path.join(OUT, "spm_corpus.txt")
    lines = [t.replace("\n", " ").replace("\r", " ") for t in TEXTS if "\x00" not in t and t.strip()] * 3
    lines += ["the quick brown fox jumps over the lazy dog", "she sells sea shells on the sea shore", "how much wood would a woodchuck chuck"] * 5
    open(corpus, "w", encoding="utf-8").write("\n".join(lines))
    out = []
    for kind in ("unigram", "bpe"):
        for extra in ({}, {"byte_fallback": True, "character_coverage": 0.98}, {"user_defined_symbols": ["<sep>", "<cls>", "chuck"], "normalization_rule_name": "nmt_nfkc_cf"},
                      {"add_dummy_prefix": False, "remove_extra_whitespaces": False, "normalization_rule_name": "identity"}):
            model = io.BytesIO()
            sentencepiece.SentencePieceTrainer.train(input=corpus, model_writer=model, model_type=kind, vocab_size=420 if extra.get("byte_fallback") else 300, hard_vocab_limit=False, num_threads=1, minloglevel=2, **extra)
            sp = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
            texts = [t for t in TEXTS if "\x00" not in t] + ["how <sep>much chuck<cls> woodchuck", "  two  spaces  "]
            out.append({"name": f"{kind} {json.dumps(extra)}", "model": base64.b64encode(model.getvalue()).decode(),
                        "rows": [{"text": t, "ids": sp.encode(t), "decoded": sp.decode(sp.encode(t))} for t in texts]})
    os.remove(corpus)
    return out


main()
