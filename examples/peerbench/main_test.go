package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// TestMain lets the test binary be its own child, as the program is.
func TestMain(m *testing.M) {
	if childMain() {
		return
	}
	os.Exit(m.Run())
}

// tiny sees that things work; its figures mean nothing.
var tiny = bench{
	rounds: 1, slice: 10 * time.Millisecond, hot: 200 * time.Millisecond,
	fault: 200 * time.Millisecond, held: time.Second, many: 20,
}

// rectangular requires a table whose rows have as many cells as it has columns.
func rectangular(t *testing.T, s section) {
	t.Helper()
	require.NotEmpty(t, s.rows, s.title)
	for _, r := range s.rows {
		require.Len(t, r, len(s.columns), "%s: %v", s.title, r)
	}
}

// cell is the text below the column in the first row that begins with cells.
func cell(t *testing.T, s section, column string, cells ...string) string {
	t.Helper()
	for _, r := range s.rows {
		if strings.Join(r[:len(cells)], "|") == strings.Join(cells, "|") {
			for i, c := range s.columns {
				if c == column {
					return r[i]
				}
			}
		}
	}
	require.Failf(t, "no such cell", "%v %s", cells, column)
	return ""
}

func TestDistinctKeysCountCommandsPerAcquisition(t *testing.T) {
	found, err := distinctKeys(t.Context(), tiny)
	require.NoError(t, err)
	require.Len(t, found, 1)
	rectangular(t, found[0])
	require.Len(t, found[0].rows, 4*8+4*4)
	for _, name := range []string{rawName, redsyncName, "redislock", "rueidislock tuned"} {
		require.Equal(t, "2.00", cell(t, found[0], "commands", "1", "1", name), name)
	}
	// SET and ZADD, then EVALSHA; one more where a counter is needed for the first time.
	require.Regexp(t, `^3\.`, cell(t, found[0], "commands", "1", "1", dlmName))
	require.Len(t, found[0].goals, 9)
}

func TestHotKeyIsNeverHeldTwice(t *testing.T) {
	nodes := coretest.Redis(t, 1)
	v, err := fight(t.Context(), nodes, dlmContender(), tiny.hot, true)
	require.NoError(t, err)
	require.Positive(t, v.turns)
	require.Positive(t, v.switches)
	require.Zero(t, v.overlaps)
	require.Positive(t, v.commands)
}

func TestFaultyNodeRow(t *testing.T) {
	v, err := suffer(t.Context(), dlmContender(), faults[0], tiny.fault)
	require.NoError(t, err)
	require.NotEmpty(t, v.healthy.all)
	require.NotEmpty(t, v.faulty.all)
}

func TestOtherRows(t *testing.T) {
	for name, run := range map[string]rowSet{"renewed": {run: renewedLocks}, "cached": {run: cachedHits}, "cold": {run: coldStart}} {
		t.Run(name, func(t *testing.T) {
			found, err := run.run(t.Context(), tiny)
			require.NoError(t, err)
			require.NotEmpty(t, found)
			for _, s := range found {
				rectangular(t, s)
				require.NotEmpty(t, s.goals)
			}
		})
	}
}

func TestWhatIsMeasuredFirstIsPrintedInItsPlace(t *testing.T) {
	var measured []string
	set := func(name string, first bool) rowSet {
		return rowSet{name: name, first: first, run: func(context.Context, bench) ([]section, error) {
			measured = append(measured, name)
			return []section{{title: name, columns: []string{"x"}}}, nil
		}}
	}
	var out strings.Builder
	all, err := report(t.Context(), &out, tiny, []rowSet{set("locks", false), set("hits", true), set("more", false)})
	require.NoError(t, err)
	require.Equal(t, []string{"hits", "locks", "more"}, measured)
	require.Equal(t, []string{"locks", "hits", "more"}, []string{all[0].title, all[1].title, all[2].title})
	require.Less(t, strings.Index(out.String(), "locks"), strings.Index(out.String(), "hits"))
}

func TestRunRefusesWhatItDoesNotKnow(t *testing.T) {
	require.ErrorContains(t, run(t.Context(), []string{"-rows", "hot,nonsense"}, io.Discard), `no row "nonsense": there are distinct,hot`)
	require.ErrorContains(t, run(t.Context(), []string{"-rounds", "0"}, io.Discard), "at least 1")
}

func TestScalingAtADistance(t *testing.T) {
	p := place{processes: 1, nodes: 3, rtt: time.Millisecond}
	b := tiny
	b.hot = time.Second
	dlm, peer, err := p.measure(t.Context(), b, workloads[0])
	require.NoError(t, err)
	require.Positive(t, dlm.samples[0].turns)
	require.Positive(t, peer.samples[0].turns)
	s := section{columns: make([]string, 10)}
	s.scalingRow(workloads[0], p, dlm, peer, dlm.values(hotSample.turnRate))
	require.Len(t, s.rows[0], len(s.columns))
}

func TestInsertReplacesBetweenMarks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	require.NoError(t, os.WriteFile(path, []byte("a\n<!-- rows -->\nold\n<!-- /rows -->\nz\n"), 0o600))
	require.NoError(t, insert(path, "rows", "new\n"))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "a\n<!-- rows -->\n\nnew\n<!-- /rows -->\nz\n", string(text))
	require.ErrorContains(t, insert(path, "scaling", "new"), "no <!-- scaling -->")
}

func TestFillPutsEachTextWhereItsMarksAre(t *testing.T) {
	dir := t.TempDir()
	one, other, none := filepath.Join(dir, "one.md"), filepath.Join(dir, "other.md"), filepath.Join(dir, "none.md")
	require.NoError(t, os.WriteFile(one, []byte("<!-- rows -->\n<!-- /rows -->\n"), 0o600))
	require.NoError(t, os.WriteFile(other, []byte("<!-- locks -->\n<!-- /locks -->\n<!-- scaling -->\nkept\n<!-- /scaling -->\n"), 0o600))
	require.NoError(t, os.WriteFile(none, nil, 0o600))
	texts := map[string]string{"rows": "R\n", "locks": "L\n"}
	require.NoError(t, fill([]string{one, other}, texts))
	text, err := os.ReadFile(one)
	require.NoError(t, err)
	require.Equal(t, "<!-- rows -->\n\nR\n<!-- /rows -->\n", string(text))
	text, err = os.ReadFile(other)
	require.NoError(t, err)
	require.Equal(t, "<!-- locks -->\n\nL\n<!-- /locks -->\n<!-- scaling -->\nkept\n<!-- /scaling -->\n", string(text))
	require.ErrorContains(t, fill([]string{none}, texts), "none of the marks [locks rows]")
}

func TestCompactShowsWhatWasNotMet(t *testing.T) {
	s := section{locks: true, bars: []bar{
		{"1 node, 1 caller", rawName, 1, 1, 1}, {"1 node, 1 caller", dlmName, 1.1, 1, 2}, {"1 node, 1 caller", "redsync tuned", 9, 9, 9},
	}}
	s.atMost("1 node, 1 caller: time ÷ raw", 1.1, 1.05, " ×")
	s.atMost("orphans", 0, 0, "")
	var out bytes.Buffer
	compact(&out, []section{s})
	require.Contains(t, out.String(), "| 1 node, 1 caller | time ÷ raw, less is better | 1.00 × | 1.10 × | – | – | – |\n")
	require.Contains(t, out.String(), "1 of 2 goals met in this run. Not met:\n\n| what | reach | measured (median) |\n| --- | --- | --- |\n| 1 node, 1 caller: time ÷ raw | ≤ 1.05 × | 1.10 × |\n")
	require.NotContains(t, out.String(), "9.00")
}

func TestTimeline(t *testing.T) {
	const a, b, other = 1<<10 | 1, 1<<10 | 2, 2 << 10
	line := timelineOf([]hotResult{
		{
			Turns:   []turn{{a, 0, 10, 20}, {a, 20, 21, 30}, {b, 0, 33, 40}},
			Pending: []turn{{Caller: a, Asked: 30}, {Caller: b, Asked: 40}},
		},
		{Turns: []turn{{other, 0, 39, 50}}, Pending: []turn{{Caller: other, Asked: 50}, {Caller: other + 1, Asked: 0}}},
	})
	require.Equal(t, 4, line.turns)
	require.Equal(t, 2, line.switches, "a again is none")
	require.Equal(t, 1, line.overlaps, "other began at 39, b ended at 40")
	require.Equal(t, 1, line.starved)
	require.Equal(t, []float64{3}, line.inside)
	require.Equal(t, []float64{-1}, line.between)
	require.InDelta(t, 50/((10+1+33+39)/4.0), line.slowest, 1e-9, "the wait that was cut short")
}

func TestSpread(t *testing.T) {
	require.Equal(t, spread{1, 2.5, 4}, spreadOf([]float64{4, 1, 3, 2}))
	require.Equal(t, spread{0.5, 2, 3}, ratios([]float64{1, 4, 9}, []float64{2, 2, 3}))
	require.Equal(t, "**2.00 ×** (0.50–3.00)", spread{0.5, 2, 3}.times())
	require.Equal(t, "–", spreadOf(nil).times())
	require.InDelta(t, 1, jain([]float64{2, 2, 2}), 1e-9)
	require.InDelta(t, 1.0/3, jain([]float64{6, 0, 0}), 1e-9)
}

func TestLatenciesAtRank(t *testing.T) {
	l := latencies{all: []float64{3, 1, 2, 4}}
	l.sort()
	require.Equal(t, []float64{2, 4, 4}, []float64{l.at(0.5), l.at(0.99), l.at(1)})
	require.True(t, math.IsNaN((&latencies{}).at(0.5)))
}

func TestInterleaveBeginsEachRoundWithAnother(t *testing.T) {
	var order []int
	require.NoError(t, interleave(2, 3, func(i int) error { order = append(order, i); return nil }))
	require.Equal(t, []int{0, 1, 2, 1, 2, 0}, order)
	stop := errors.New("stop")
	require.ErrorIs(t, interleave(2, 3, func(int) error { return stop }), stop)
}

func TestMarkdownAndVerdict(t *testing.T) {
	s := section{title: "T", columns: []string{"a", "b"}}
	s.row("x", s.atMost("speed", 0.5, 1, " ×"))
	s.row("y", s.atLeast("rate", 3, 7, " ×"))
	var out bytes.Buffer
	s.markdown(&out)
	verdict(&out, []section{s})
	require.Contains(t, out.String(), "| a | b |\n| --- | --- |\n| x | ≤ 1 × ✓ |\n| y | ≥ 7 × ✗ |\n")
	require.Contains(t, out.String(), "| rate | ≥ 7 × | 3.00 × | ✗ |\n\n1 of 2 met.")
}

func TestPictureIsWellFormed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.svg")
	require.NoError(t, drawTo(path, []section{{bars: []bar{
		{"1 node, <1> caller", dlmName, 0.5, 0.4, 0.6}, {"1 node, <1> caller", "redsync tuned", 20, 1, 30},
		{"hot key", rawName, math.NaN(), 0, math.Inf(1)},
	}}}))
	drawn, err := os.ReadFile(path)
	require.NoError(t, err)
	decoder := xml.NewDecoder(bytes.NewReader(drawn))
	for err == nil {
		_, err = decoder.Token()
	}
	require.ErrorIs(t, err, io.EOF)
	require.Contains(t, string(drawn), "prefers-color-scheme: dark")
	require.NotContains(t, string(drawn), "NaN")
}
