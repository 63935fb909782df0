#!/bin/sh
# Removes tests, headers, sources and typing files from the libraries in /out. Keeps licences and dist-info. selftest.py
# then runs every capability with the rest.
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
# Sample data sets, the mypy plugin, and extensions used only by the libraries' tests. numpy/f2py stays: scipy imports
# every module that numpy lists.
rm -rf sklearn/datasets/data sklearn/datasets/descr sklearn/datasets/images numpy/f2py/src \
    numpy/typing/mypy_plugin.pyc numpy/_core/_simd.*.so
find . -name '_*tests.*.so' -delete
find . -path ./numpy.libs -prune -o \( -name '_test*.so' -o -name '_ctest*.so' -o -name '_cytest*.so' \) -exec rm {} +
# Debug symbols. The libraries in *.libs stay unchanged: stripping would break the alignment that auditwheel gave them.
find . -path './*.libs' -prune -o -name '*.so' -exec strip --strip-unneeded {} +
