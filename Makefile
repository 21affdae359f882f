# Everything starts from Python 3.11 or newer, pip and make; the rest is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-million test-kills test-replicas test-examples contract conformance check lock clean

demo: .venv/installed
	@$(BIN)/mixpanel-mcp demo

test: .venv/installed
	$(BIN)/python -m pytest -q --numprocesses auto --dist worksteal

# How long each report takes over a million events, and how much memory. `test` leaves it out, as
# the file is not named as tests are: it wants the machine for itself.
test-million: .venv/installed
	$(BIN)/python -m pytest -q -s tests/million/million_reports.py

# Imports and exports of every kind, killed fifty times each at moments of chance and started again.
# It prints the seed of the moments; KILL_SEED=... brings them back. `test` has a few kills of each.
test-kills: .venv/installed
	$(BIN)/python -m pytest -q -s --numprocesses 0 tests/kills/fifty_kills.py

# Several replicas with a real Redis between them, which has to be installed (redis-server, or
# valkey-server). `test` leaves it out, as the files are not named as tests are.
test-replicas: .venv/installed
	$(BIN)/python -m pytest -q --numprocesses auto --dist worksteal tests/replicas/replicas_*.py

# The example whose library needs an older MCP SDK than ours, in an environment of its own, with what
# the lines at its top ask for.
test-examples: .venv/installed
	$(PYTHON) -m venv .venv/langchain
	$(BIN)/python -c 'import tomllib; lines = [line[2:] for line in open("examples/langchain_agent.py") \
		if line.startswith("# ")]; print(*tomllib.loads("".join(lines[1:3]))["dependencies"], sep="\n")' \
		> .venv/langchain/requirements.txt
	.venv/langchain/bin/python -m pip install --quiet --disable-pip-version-check \
		--requirement .venv/langchain/requirements.txt
	.venv/langchain/bin/python tests/examples/langchain_example.py $(BIN)/mixpanel-mcp

# What the tools send and the sandbox answers, against Mixpanel's own specifications where their
# folder is at hand.
contract: .venv/installed
	$(BIN)/python tests/contract/check_wire.py
	$(BIN)/python tests/contract/check_replies.py

# The protocol's official suite, against the hosted server on the sandbox; npm fetches it, and a
# Node that it runs on, into a folder of their own.
conformance: .venv/installed
	PYTHONPATH=. $(BIN)/python tests/conformance/check_conformance.py .conformance

check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

# Hashes of every platform's files, and no addresses.
lock: .venv/installed
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --all-extras --group dev \
		--no-emit-index-url pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --all-extras \
		--constraints requirements.lock --no-emit-index-url pyproject.toml \
		--output-file requirements.image.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --group build \
		--constraints requirements.lock --no-emit-index-url --output-file requirements.build.lock

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "mixpanel-mcp needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf .venv .conformance dist build
