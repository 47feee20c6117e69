package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// screen is where the demo shows itself: a terminal gets a progress bar, a file
// or a pipe plain lines.
type screen struct {
	out      io.Writer
	terminal bool
}

func newScreen(f *os.File) *screen {
	info, err := f.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	return &screen{out: f, terminal: terminal}
}

func (s *screen) say(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format+"\n", args...) }

const (
	barWidth  = 30
	clearLine = "\r\x1b[K"
)

// bar is the progress of one act.
type bar struct {
	*screen
	act   act
	shown time.Time
}

func (s *screen) bar(a act) *bar { return &bar{screen: s, act: a} }

// show draws the bar, no more often than eyes can follow.
func (b *bar) show(n int) {
	if !b.terminal || n < b.act.requests && time.Since(b.shown) < 50*time.Millisecond {
		return
	}
	b.shown = time.Now()
	full := barWidth * n / b.act.requests
	_, _ = fmt.Fprintf(b.out, "%s%s [%s%s] %d/%d", clearLine, b.act.label(),
		strings.Repeat("#", full), strings.Repeat(".", barWidth-full), n, b.act.requests)
}

// done replaces the bar by one line that stays.
func (b *bar) done(o outcome) {
	if b.terminal {
		_, _ = io.WriteString(b.out, clearLine)
	}
	b.say("%s %d requests in %v", b.act.label(), b.act.requests, o.took.Round(time.Millisecond))
}

func (a act) label() string { return fmt.Sprintf("%-24s %-11s", a.title, withOrWithout[a.dlm]) }

var withOrWithout = map[bool]string{true: "with dlm", false: "without dlm"}

// columns of the table, the number ones to the right.
var columns = []struct {
	name string
	cell func(*outcome) string
}{
	{"", func(o *outcome) string { return o.act.title }},
	{"", func(o *outcome) string { return withOrWithout[o.act.dlm] }},
	{"requests", func(o *outcome) string { return strconv.Itoa(len(o.replies)) }},
	{"runs", func(o *outcome) string { return strconv.Itoa(o.runs()) }},
	{"at once", func(o *outcome) string { return strconv.Itoa(o.most()) }},
	{"lost", func(o *outcome) string { return strconv.Itoa(o.lost()) }},
	{"hits", func(o *outcome) string { return strconv.Itoa(o.count(of(hit))) }},
	{"stale", func(o *outcome) string { return strconv.Itoa(o.count(of(stale))) }},
	{"waits", func(o *outcome) string { return strconv.Itoa(o.waits()) }},
	{"refused", func(o *outcome) string { return strconv.Itoa(o.count(refused)) }},
	{"p50", func(o *outcome) string { return milliseconds(o.quantile(50)) }},
	{"p99", func(o *outcome) string { return milliseconds(o.quantile(99)) }},
}

// titles are the columns that name the act.
const titles = 2

const legend = `
requests  sent to all processes in turn     runs     of the handler, seen by the witness
at once   most runs for one key at a time   lost     runs overwritten by another one
hits      answered from the cache, fresh    stale    answered with an earlier response
waits     queued for a lock or an answer    refused  503 with Retry-After`

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64) + " ms"
}

func (s *screen) table(outcomes []outcome) {
	rows := make([][]string, len(outcomes)+1)
	width := make([]int, len(columns))
	for c, column := range columns {
		rows[0] = append(rows[0], column.name)
		for i := range outcomes {
			rows[i+1] = append(rows[i+1], column.cell(&outcomes[i]))
		}
		for _, row := range rows {
			width[c] = max(width[c], len(row[c]))
		}
	}
	s.say("")
	for _, row := range rows {
		var line strings.Builder
		for c, cell := range row {
			if c < titles {
				fmt.Fprintf(&line, "%-*s  ", width[c], cell)
			} else {
				fmt.Fprintf(&line, "%*s  ", width[c], cell)
			}
		}
		s.say("%s", strings.TrimRight(line.String(), " "))
	}
	s.say("%s\n", legend)
}
