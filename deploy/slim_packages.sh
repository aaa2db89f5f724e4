#!/bin/sh
# Takes out of installed Python packages what no image of ours ever reads: slim_packages.sh /opt/mloscope
#
# Only kinds of things, wherever they lie, and no package's inner parts, so that other versions are as safe. Whether all that
# is needed is still there, the Dockerfile sees by importing it, and tests/deployment/test_compose.py by using it.
set -eu
cd "$1"/lib/python3*/site-packages

# What installs and builds packages.
rm -rf pip pip-* setuptools setuptools-* pkg_resources _distutils_hack distutils-precedence.pth
# Tests of packages. Only folders called "tests": tf.test is part of TensorFlow.
find . -path ./tensorflow -prune -o -type d -name tests -prune -exec rm -r {} +
# libclang, which TensorFlow asks for and never loads.
rm -rf clang
# What C and Cython programs are compiled against: a quarter of TensorFlow.
find . -type d -name include -prune -exec rm -r {} +
find . -type f \( -name '*.pxd' -o -name '*.pyx' -o -name '*.pxi' -o -name '*.a' \) -delete
# What developers of Dash's scripts use, and Plotly's for notebooks.
find . -type f \( -name '*.js.map' -o -name '*.dev.js' \) -delete
rm -rf plotly/labextension plotly/package_data/widgetbundle.js plotly/package_data/datasets ../../../share/jupyter
# Arrow's way to clouds and to other machines; pyarrow does without them where they are not there.
rm -f pyarrow/*flight* pyarrow/_s3fs* pyarrow/_gcsfs* pyarrow/_azurefs* pyarrow/libarrow_s3*
# Tables for debuggers, a quarter of TensorFlow's libraries. Not those of other packages: some are made up so that stripping breaks them.
if command -v strip >/dev/null && [ -d tensorflow ]; then
    find tensorflow -name '*.so*' -type f -exec strip --strip-unneeded {} +
fi
