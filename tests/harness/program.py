"""program.py -- another copy of the program, with modules of the tests beside it"""
import os
import shlex
import shutil
import subprocess

from .server import BUILD, ROOT


def compile_module(name, directory):
    """A module of tests/modules, as somebody else would build it (doc/MODULES.md)."""
    source = os.path.join(ROOT, "tests", "modules", name)
    subprocess.run([*shlex.split(os.environ.get("CC", "cc")), "-shared", "-fPIC", "-std=c11", "-D_GNU_SOURCE",
                    "-DSTANZAD_MODULE", "-I", ROOT, "-o", os.path.join(directory, f"{name}.so"),
                    f"{source}.c"], check=True)
    shutil.copy(f"{source}.options", directory)


def copy(directory, modules=(), build=BUILD):
    """The path of a stanzad in directory, with the modules that there are and these."""
    place = os.path.join(directory, "modules")
    os.makedirs(place)
    for name in os.listdir(os.path.join(build, "modules")):
        os.symlink(os.path.join(build, "modules", name), os.path.join(place, name))
    for name in modules:
        compile_module(name, place)
    for path in directory, place:
        os.chmod(path, 0o755)
    return shutil.copy2(os.path.join(build, "stanzad"), directory)
