#!/bin/sh
# Removes from the libraries below /out what tests them, what builds on them and what types them: none of it runs in a
# service. Licences and dist-info stay. proof.py runs every capability on what is left.
set -eu

cd /out/usr/local/lib/python3.13/dist-packages
for library in numpy scipy sklearn joblib rapidfuzz; do
    [ -d "$library" ] || continue
    find "$library" -type d \( -name tests -o -name test -o -name examples -o -name _examples -o -name include \
        -o -name __pyinstaller -o -name _pyinstaller \) -prune -exec rm -rf {} +
    find "$library" -type f \( -name '*.h' -o -name '*.hpp' -o -name '*.c' -o -name '*.cpp' -o -name '*.f' -o -name '*.f90' \
        -o -name '*.a' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.pyx' -o -name '*.tp' -o -name '*.pc' -o -name '*.ini' \
        -o -name 'meson.build' -o -name '*.rst' -o -name '*.md' -o -name 'py.typed' \) \
        ! -iname '*licen*' -delete
done
# Data sets to play with, what types, and extensions that only the libraries' own tests load. numpy/f2py stays: scipy
# imports every module that numpy names.
rm -rf sklearn/datasets/data sklearn/datasets/descr sklearn/datasets/images numpy/f2py/src \
    numpy/typing/mypy_plugin.pyc numpy/_core/_simd.*.so
find . -name '_*tests.*.so' -delete
find . -path ./numpy.libs -prune -o \( -name '_test*.so' -o -name '_ctest*.so' -o -name '_cytest*.so' \) -exec rm {} +
# Symbols that only debuggers read. What auditwheel has laid beside (*.libs) stays as it is: its segments are aligned by hand.
find . -path './*.libs' -prune -o -name '*.so' -exec strip --strip-unneeded {} +
