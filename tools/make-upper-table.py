#!/usr/bin/env python3
"""Prints src/lang/expr/upper-table.h: Unicode's simple upper-case mapping as ranges.

Simple means one code point to one. Left out: U+0131 (dotless i) and U+017F (long s), whose upper case is an ASCII
letter: comparing text without regard to case must not make them equal to ASCII."""
import sys
import unicodedata


def simple_upper(cp):
    c = chr(cp)
    if cp < 0x80 or cp in (0x131, 0x17F) or 0xD800 <= cp <= 0xDFFF:
        return cp
    for mapped in (c.upper(), c.title()):
        if len(mapped) == 1:
            return ord(mapped)
    return cp


pairs = [(cp, simple_upper(cp)) for cp in range(0x110000) if simple_upper(cp) != cp]
ranges = []  # [first, last, delta, step]
for cp, up in pairs:
    delta = up - cp
    if ranges and ranges[-1][2] == delta:
        first, last, _, step = ranges[-1]
        gap = cp - last
        if gap in (1, 2) and (first == last or gap == step):
            ranges[-1] = [first, cp, delta, gap]
            continue
    ranges.append([cp, cp, delta, 1])
print(f"/* upper-table.h - simple upper-case mapping of Unicode {unicodedata.unidata_version}; made by tools/make-upper-table.py. */")
print("static const struct upper_range {\n\tuint32_t first, last;\n\tint32_t  delta;\n\tuint32_t step;\n} upper_ranges[] = {")
for first, last, delta, step in ranges:
    print(f"\t{{ 0x{first:x}, 0x{last:x}, {delta}, {step} }},")
print("};")
print(f"{len(ranges)} ranges, {len(pairs)} code points", file=sys.stderr)
