#!/usr/bin/env bash
# Sets up what a target needs: setup.sh run|dev PYTHON. Installs Debian packages by name when it may, else names them.
set -euo pipefail
what=$1 python=${2:-python3.11}
cd "$(dirname "$0")/.."

missing=()
need() { dpkg -s "$1" >/dev/null 2>&1 || missing+=("$1"); }
command -v "$python" >/dev/null 2>&1 || python=python3
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "需要 Python 3.11 或更新版本 / Python 3.11 or newer is needed" >&2; exit 1; }
"$python" -c 'import ensurepip, venv' 2>/dev/null || need python3-venv
need libpango-1.0-0
need libpangoft2-1.0-0
need libharfbuzz-subset0
need fonts-noto-cjk
command -v npm >/dev/null 2>&1 || need npm
# Judges of certificates, shares and signatures, and a software token; a machine without them skips those tests and says so.
if [ "$what" = dev ]; then
  command -v node >/dev/null 2>&1 || need nodejs
  need chromium
  need openssl
  need poppler-utils
  need ssss
  need softhsm2
  need libbcprov-java
  need libbcpkix-java
  command -v java >/dev/null 2>&1 || need default-jdk-headless
  command -v gcc >/dev/null 2>&1 || need gcc
fi
if [ ${#missing[@]} -gt 0 ]; then
  echo "安装系统软件包 / installing Debian packages: ${missing[*]}"
  sudo=""; [ "$(id -u)" = 0 ] || sudo="sudo -n"
  if ! { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq "${missing[@]}" >/dev/null; }; then
    echo "无法安装，请由管理员执行 / could not install; ask an administrator to run: apt-get install ${missing[*]}" >&2
    exit 1
  fi
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
lock=requirements.lock; [ "$what" = dev ] && lock=requirements-dev.lock
echo "安装 Python 依赖（按哈希校验）/ installing Python packages by hash: $lock"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
bash scripts/vendor.sh "$what"
