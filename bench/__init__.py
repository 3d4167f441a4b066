"""Speed, as ratios: Tollgate, bare proxies and peers, measured in turns in one run. See BENCH in docs/bench.md."""
