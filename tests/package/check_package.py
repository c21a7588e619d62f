"""Installs the attention core and uses it as a stranger would: from a CMake project and from a
Makefile with pkg-config, in C++ and in C, after the installed tree was moved.

usage: check_package.py static|shared BUILD_FOLDER SOURCE_FOLDER CXX CC
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MOST_BYTES = 4 << 20
HEADERS = {"attention.h", "attention_c.h", "error.h"}
RUN_TIME = {"libstdc++.so.6", "libm.so.6", "libgcc_s.so.1", "libc.so.6", "libpthread.so.0",
            "libc++.so.1", "libc++abi.so.1", "libunwind.so.1"}
# Beside the members and the type information of headlight::Error.
PUBLIC = {"headlight_attention_forward", "headlight_attention_backward", "headlight_last_error",
          "headlight_attention_isa", "headlight::attention_isa()"} | {
    f"headlight::attention_{way}<{element}>" for way in ("forward", "backward")
    for element in ("float", "double", "headlight::BFloat16", "headlight::Float16")}


def output(*command, **keywords):
    done = subprocess.run([str(word) for word in command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **keywords)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}\nended with {done.returncode}")
    return done.stdout


def check(holds, message):
    if not holds:
        sys.exit(message)


def needed(binary):
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-d", binary)))


def check_symbols(library):
    listing = output("nm", "-D", "--defined-only", "--demangle", library)
    names = {line.split(" ", 2)[2] for line in listing.splitlines()}
    error = {name for name in names if "headlight::Error" in name}
    found = {re.sub(r"^void (.*?>)\(.*$", r"\1", name) for name in names - error}
    check("typeinfo for headlight::Error" in error, "users could not catch headlight::Error")
    check(found == PUBLIC, f"shown beyond the contract: {found - PUBLIC}; missing: {PUBLIC - found}")


def check_installed(prefix, kind):
    files = [path for path in prefix.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files if not path.is_symlink())
    print(f"{kind}: {len(files)} files, {size / 2**20:.2f} MiB")
    check(size < MOST_BYTES, f"the installed package takes {size} bytes")
    check({path.name for path in prefix.glob("include/headlight/*")} == HEADERS, "headers")
    libraries = {path.suffix for path in files if path.name.startswith("libheadlight")}
    check((".a" in libraries) == (kind == "static"), f"libraries of the wrong kind: {libraries}")
    for path in files:
        if path.suffix in (".cmake", ".pc", ".h"):
            check(str(prefix) not in path.read_text(), f"{path} names the prefix: it cannot move")
    if kind == "shared":
        library = next(path for path in files if ".so" in path.name and not path.is_symlink())
        check_symbols(library)
        check(needed(library) - {"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"} <= RUN_TIME,
              f"needs {needed(library)}")


def check_programs(folder, kind):
    for name in ("from_cpp", "from_c"):
        print(f"{kind}, {folder.name}, {name}: {output(folder / name).strip()}")
        outside = {library for library in needed(folder / name) if "headlight" not in library}
        check(outside - {"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"} <= RUN_TIME,
              f"{name} needs {outside}")


def main():
    kind, build, source, cxx, cc = sys.argv[1:]
    example = Path(source) / "examples" / "attention.cpp"
    consumer = Path(source) / "tests" / "package" / "consumer"
    check(example.read_text() in (Path(source) / "docs" / "attention.md").read_text(),
          "docs/attention.md shows another program than examples/attention.cpp")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        output("cmake", "--install", build, "--prefix", folder / "first",
               "--component", f"headlight_{kind}")
        check_installed(folder / "first", kind)
        prefix = (folder / "first").rename(folder / "moved")

        output("cmake", "-S", consumer, "-B", folder / "cmake", f"-DCMAKE_PREFIX_PATH={prefix}",
               f"-DEXAMPLE={example}", f"-DCMAKE_CXX_COMPILER={cxx}", f"-DCMAKE_C_COMPILER={cc}")
        output("cmake", "--build", folder / "cmake")
        check_programs(folder / "cmake", kind)

        make = Path(shutil.copytree(consumer, folder / "make"))
        package = next(prefix.rglob("headlight.pc")).parent
        output("make", "-C", make, f"EXAMPLE={example}", f"CC={cc}", f"CXX={cxx}",
               env=dict(os.environ, PKG_CONFIG_PATH=str(package)))
        check_programs(make, kind)


main()
