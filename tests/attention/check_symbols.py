"""The objects of the kernels may define nothing that the linker could use elsewhere.

A weak symbol (an inline function or template) that was compiled for AVX-512 and that the linker
happens to choose would crash older machines far away from any attention. So each object may
define exactly one visible symbol, the function that returns its table, and no weak or unique one.
Also: the 512-bit objects must really use 512-bit registers, one of them and no other products of
bfloat16 pairs, the 256-bit one nothing of AVX-512, and the portable one nothing newer than the
baseline.

usage: check_symbols.py OBJECT...
"""

import re
import subprocess
import sys


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main():
    failures = []
    for path in sys.argv[1:]:
        name = re.search(r"(\w+)\.cpp\.o", path).group(1)
        visible = []
        for line in output("nm", "--defined-only", path).splitlines():
            kind, symbol = line.split()[-2:]
            if kind in "WwVvu":
                failures.append(f"{name}: weak symbol {symbol}")
            elif kind.isupper():
                visible.append(symbol)
        if len(visible) != 1 or f"{name}_kernels" not in visible[0]:
            failures.append(f"{name}: visible symbols {visible}, expected {name}_kernels alone")
        for line in output("nm", "--undefined-only", path).splitlines():
            symbol = line.split()[-1]
            if symbol not in ("memset", "memcpy", "memmove", "_GLOBAL_OFFSET_TABLE_"):
                failures.append(f"{name}: calls {symbol}")
        code = output("objdump", "-d", "--no-show-raw-insn", path)
        used = {width: len(re.findall(rf"%{width}mm", code)) for width in "xyz"}
        print(f"{name}: {used}")
        if name.startswith("avx512") and used["z"] == 0:
            failures.append(f"{name}: no 512-bit register in use")
        # Registers that only AVX-512 has: the widest, the upper half of the others, and masks.
        avx512 = re.findall(r"%zmm|%[xy]mm(?:1[6-9]|2\d|3[01])\b|%k[0-7]\b", code)
        pairs = re.findall(r"\tvdpbf16ps\b", code)
        if name == "avx2" and (used["y"] == 0 or avx512):
            failures.append("avx2: 256-bit registers are not the widest in use")
        if name == "portable" and (used["y"] > 0 or avx512):
            failures.append("portable: registers of newer machines in use")
        if (name == "avx512_bf16") != bool(pairs):
            failures.append(f"{name}: {len(pairs)} products of bfloat16 pairs")
    print("\n".join(failures) or "ok")
    return 1 if failures else 0


sys.exit(main())
