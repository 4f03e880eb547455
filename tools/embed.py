#!/usr/bin/env python3
"""Turns files into one C source: embed.py OUT.c SYMBOL ROOT FILE...

OUT.c defines `const struct embed_file SYMBOL[]` and `const size_t SYMBOL_n` (see src/base/embed.h);
names are relative to ROOT, the table is sorted by name, contents carry a NUL behind them."""
import os
import sys

out, symbol, root, *paths = sys.argv[1:]
rows = []
with open(out, "w") as f:
    f.write('#include "base/base.h"\n#include "base/embed.h"\n\n')
    for i, path in enumerate(sorted(paths, key=lambda p: os.path.relpath(p, root))):
        data = open(path, "rb").read()
        name = os.path.relpath(path, root)
        f.write(f"static const unsigned char file_{i}[] = {{\n")
        for at in range(0, len(data), 32):
            f.write(",".join(str(b) for b in data[at : at + 32]) + ",\n")
        f.write("0};\n")
        rows.append(f'\t{{ "{name}", {{ (const char *)file_{i}, {len(data)} }}, {1 if os.access(path, os.X_OK) else 0} }},\n')
    f.write(f"\nconst struct embed_file {symbol}[] = {{\n{''.join(rows)}\t{{ NULL, {{ NULL, 0 }}, 0 }}\n}};\n")
    f.write(f"const size_t {symbol}_n = {len(rows)};\n")
