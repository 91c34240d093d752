"""Writes Sources/Tokenizers/Unicode/*Data.swift: the Unicode facts that tokenizers depend on.

The facts are measured on the `tokenizers` library itself (its regex engine, its normalisers), because each of its parts carries
Unicode data of another version, and ids follow those. Development time only:

    pip install tokenizers==0.23.3
    python Scripts/generate_unicode_tables.py
"""
import os
import unicodedata

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "Sources", "Tokenizers", "Unicode")
SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(n):
    s = ""
    while True:
        s = DIGITS[n % 36] + s
        n //= 36
        if not n:
            return s


def removed_by(splitter, chunk=2048):
    """Scalars that a pre-tokenizer with the behaviour `removed` drops from a text."""
    found = set()
    for i in range(0, len(SCALARS), chunk):
        part = SCALARS[i:i + chunk]
        kept = [False] * len(part)
        for _, (a, b) in splitter.pre_tokenize_str("".join(map(chr, part))):
            for k in range(a, b):
                kept[k] = True
        found.update(c for c, k in zip(part, kept) if not k)
    return found


def regex_class(pattern):
    return removed_by(pre_tokenizers.Split(Regex(pattern), "removed"))


def dropped_by(normalizer):
    return {c for c in SCALARS if normalizer.normalize_str("a" + chr(c)) == "a"}


def bert(**flags):
    off = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**off, **flags})


def classes():
    word_split = pre_tokenizers.Whitespace()
    yield "letter", regex_class(r"\p{L}")
    yield "number", regex_class(r"\p{N}")
    yield "space", regex_class(r"\s")
    yield "upper", regex_class(r"[\p{Lu}\p{Lt}]")
    yield "lower", regex_class(r"\p{Ll}")
    yield "mark", regex_class(r"\p{M}")
    yield "punctuation", regex_class(r"\p{P}")
    yield "symbol", regex_class(r"\p{S}")
    yield "han", regex_class(r"\p{Han}")
    yield "whiteSpace", removed_by(pre_tokenizers.WhitespaceSplit())
    yield "bertPunctuation", removed_by(pre_tokenizers.Punctuation("removed"))
    digits = pre_tokenizers.Digits(individual_digits=True)
    yield "numeric", {c for c in SCALARS if len(digits.pre_tokenize_str("a" + chr(c))) == 2}
    yield "other", dropped_by(bert(clean_text=True))
    # Asked as NFD of the scalar itself, so that only marks themselves count.
    yield "nonspacingMark", {c for c in dropped_by(bert(strip_accents=True))}
    yield "combiningMark", dropped_by(normalizers.StripAccents())
    yield "word", {c for c in SCALARS if [p for p, _ in word_split.pre_tokenize_str("a" + chr(c))] == ["a" + chr(c)]}


def runs(members):
    """Starts and ends of the runs, as differences in base 36."""
    out, last, inside = [], 0, False
    for c in range(0x110001):
        now = c in members
        if now != inside:
            out.append(base36(c - last))
            last, inside = c, now
    return out


def wrap(words, indent="        "):
    lines, line = [], ""
    for w in words:
        if len(line) + len(w) + 1 > 130:
            lines.append(indent + line)
            line = w
        else:
            line = f"{line} {w}" if line else w
    lines.append(indent + line)
    return "\n".join(line + " \\" for line in lines[:-1]) + ("\n" if len(lines) > 1 else "") + lines[-1]


def literal(name, comment, words):
    return f"    /// {comment}\n    static let {name}: StaticString = \"\"\"\n{wrap(words)}\n        \"\"\"\n"


def header(what):
    return (f"// Made by Scripts/generate_unicode_tables.py from tokenizers {tokenizers.__version__}; do not edit.\n\n"
            f"/// {what}\n")


def scripts():
    """Script of each scalar as UnicodeScripts sees it: 0 where it joins its neighbours, else a number from 1."""
    split = pre_tokenizers.UnicodeScripts()
    joins = lambda a, b: len(split.pre_tokenize_str(chr(a) + chr(b))) == 1
    any_script = lambda c: joins(ord("a"), c) and joins(0x3B1, c)
    reps, last, out = [], None, []
    for c in SCALARS:
        if last is not None and last >= 0 and c - 1 == previous and (
                any_script(c) if last == 0 else not any_script(c) and joins(reps[last - 1], c)):
            previous = c
            continue
        if any_script(c):
            now = 0
        else:
            now = next((i + 1 for i, r in enumerate(reps) if joins(r, c)), None)
            if now is None:
                reps.append(c)
                now = len(reps)
        if now != last:
            out.append((c, now))
        last, previous = now, c
    return out


def decompositions(normalizer):
    out = {}
    for c in SCALARS:
        if 0xAC00 <= c < 0xD7A4:
            continue
        d = normalizer.normalize_str(chr(c))
        if d != chr(c):
            out[c] = [ord(x) for x in d]
    return out


def entries(table, flagged=()):
    out, last = [], 0
    for c in sorted(table):
        out.append(base36(c - last) + ("!" if c in flagged else "=") + ".".join(base36(x) for x in table[c]))
        last = c
    return out


def combining_classes():
    """Classes that the library sorts by; Python's data where the library knows the scalar as a mark at all."""
    nfd = normalizers.NFD()
    out, last = [], (None, 0)
    for c in SCALARS:
        k = unicodedata.combining(chr(c))
        if k and k != 240 and nfd.normalize_str("a\u0345" + chr(c)) == "a\u0345" + chr(c):
            k = 0  # not reordered: unknown to the library's older data
        if k != last[1]:
            out.append((c, k))
            last = (c, k)
    return out


def pairs(rows):
    out, last = [], 0
    for c, v in rows:
        out.append(base36(c - last) + "=" + base36(v))
        last = c
    return out


def main():
    os.makedirs(OUT, exist_ok=True)
    write = lambda name, text: open(os.path.join(OUT, name), "w", encoding="utf-8").write(text)
    text = header("Runs of scalars of each class: lengths outside and inside by turns, base 36.") + "enum ScalarClassData {\n"
    for name, members in classes():
        print(name, len(members), flush=True)
        text += literal(name, f"{len(members)} scalars.", runs(members))
    write("ScalarClassData.swift", text + "}\n")
    canonical, compatible = decompositions(normalizers.NFD()), decompositions(normalizers.NFKD())
    nfc = normalizers.NFC()
    excluded = {c for c, d in canonical.items() if nfc.normalize_str(chr(c)) != chr(c)}
    text = header("Full canonical decompositions (`!`: never composed again), Hangul apart, and combining classes.")
    text += "enum DecompositionData {\n"
    text += literal("canonical", f"{len(canonical)} scalars.", entries(canonical, excluded))
    text += literal("combiningClasses", "Class from this scalar on.", pairs(combining_classes()))
    write("DecompositionData.swift", text + "}\n")
    only = {c: d for c, d in compatible.items() if canonical.get(c) != d}
    text = header("Full compatibility decompositions where they differ from the canonical ones.") + "enum CompatibilityData {\n"
    write("CompatibilityData.swift", text + literal("compatible", f"{len(only)} scalars.", entries(only)) + "}\n")
    text = header("Scripts as the `UnicodeScripts` pre-tokenizer sees them: 0 joins its neighbours.") + "enum ScriptData {\n"
    write("ScriptData.swift", text + literal("scripts", "Script from this scalar on.", pairs(scripts())) + "}\n")


main()
