#!/bin/sh
# Removes from an environment, in an image, what no program of it imports: headers, sources of extensions, tests,
# compilers that packages ship, and parts of Arrow for services. With `lean`, also the symbols of debuggers, and what
# only those import who train or build.
#
#   unused.sh /opt/patterns [lean]
set -eu
cd "$1"/lib/python3.*/site-packages
find . -type d \( -name tests -o -name include \) -prune -exec rm -rf {} +
find . -type f \( -name '*.pyx' -o -name '*.pxi' -o -name '*.pxd' -o -name '*.h' -o -name '*.hpp' -o -name '*.cpp' -o -name '*.cc' \) -delete
# libclang is for those who build TensorFlow.
rm -rf clang onnx/backend/test onnxruntime/transformers onnxruntime/tools
# For programs in C; Python's module has all of it inside.
rm -f onnxruntime/capi/libonnxruntime.so.*
# Clients of Flight and of S3.
rm -f pyarrow/*_flight*.so* pyarrow/*_s3*.so*
if [ "${2:-}" = lean ]; then
  rm -rf numpy/distutils numpy/f2py onnx/reference sqlalchemy/testing matplotlib/mpl-data/sample_data
  # Plots are SVG and PNG. fontTools cuts fonts for PDF alone, but names of glyphs are read from it. AVIF is for photographs.
  find fontTools -type f ! -path 'fontTools/__init__.*' ! -name 'agl.*' ! -path 'fontTools/misc/*' -delete
  rm -rf PIL/_avif.*.so pillow.libs/libavif-*.so* matplotlib/mpl-data/fonts/afm matplotlib/mpl-data/fonts/pdfcorefonts
  # Jobs are kept by SQLite or PostgreSQL.
  rm -rf sqlalchemy/dialects/mysql sqlalchemy/dialects/oracle sqlalchemy/dialects/mssql
  # A traceback in colours shows Python; no other language is read.
  find pygments/lexers -type f ! -name '__init__.*' ! -name '_mapping.*' ! -name 'python.*' ! -name 'special.*' -delete
  # Three copies of one library.
  for name in pyarrow/libarrow_python.so pyarrow/libarrow_python.so.*.*.*; do
    ln -sf "$(basename pyarrow/libarrow_python.so.????)" "$name"
  done
  # Libraries that a package brought along (*.libs) were rewritten when it was packed, and `strip` damages such.
  find . -path '*.libs' -prune -o -type f -name '*.so*' -exec strip --strip-unneeded {} +
fi
