// Package wire carries script runs and claims to one Redis node and their replies
// back, in order and without a goroutine per command.
//
// Why not go-redis' AutoPipeline? Because of what it does, and because of what it
// costs. It pays no heed to a context once a command is queued, and repeats whole
// batches by itself, so that a release could overtake a repeated acquire. And the
// commands of one uncontended lock on one node, SET with ZADD and the deletion,
// take through it, against the time through a Stream, medians (lowest–highest)
// of 5 to 7 rounds on 2 cores that were not idle:
//
//	callers  AutoPipeline           its full duplex        pooled connections     allocations
//	1        1.54 × (1.53–1.62)     1.58 × (1.47–1.65)     0.85 × (0.78–0.90)     35, 35, 28; Stream 8
//	16       3.09 × (2.98–3.39)     3.10 × (2.83–3.27)     2.26 × (2.07–2.55)     35, 35, 28; Stream 9
//	64       4.97 × (4.40–5.47)     4.86 × (4.56–5.31)     3.17 × (2.92–3.44)     35, 35, 29; Stream 9
//	256      5.42 × (4.06–6.10)     5.30 × (4.51–5.98)     3.62 × (2.91–4.11)     36, 36, 29; Stream 9
//
// with go-redis v9.23 and Redis 7.0. BenchmarkTransport measures it again.
package wire
