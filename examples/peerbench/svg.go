package main

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// bar is one bar of the picture, with the lowest and the highest round.
type bar struct {
	group, name      string
	value, low, high float64
}

// Sizes in the picture's own units.
const (
	pictureWidth = 860
	labelWidth   = 130
	valueWidth   = 70
	barHeight    = 12
	barStep      = 16
	groupGap     = 30
	topMargin    = 48
)

// palette names a colour per library; light is for dark text on white, dark the
// other way round.
var palette = []struct{ name, light, dark string }{
	{rawName, "#8c959f", "#6e7681"},
	{dlmName, "#0969da", "#58a6ff"},
	{redsyncName, "#bc4c00", "#f0883e"},
	{"redislock", "#8250df", "#a371f7"},
	{"rueidislock", "#1a7f37", "#3fb950"},
}

// picture draws the bars, group by group, on a logarithmic scale with 1 × as a
// line: what is left of it takes less than the yardstick, what is right more.
func picture(w io.Writer, sections []section) error {
	var groups [][]bar
	for _, s := range sections {
		groups = append(groups, grouped(s.bars)...)
	}
	height := topMargin
	for _, g := range groups {
		height += groupGap + len(g)*barStep
	}
	var b strings.Builder
	header(&b, height+16)
	y := topMargin
	for _, g := range groups {
		y = drawGroup(&b, g, y)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func grouped(bars []bar) (groups [][]bar) {
	for _, one := range bars {
		if n := len(groups); n > 0 && groups[n-1][0].group == one.group {
			groups[n-1] = append(groups[n-1], one)
			continue
		}
		groups = append(groups, []bar{one})
	}
	return groups
}

func header(b *strings.Builder, height int) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="11" role="img" aria-label="dlm beside its peers">`+"\n", pictureWidth, height)
	b.WriteString("<style>\n text { fill: #1f2328 } .axis { stroke: #8c959f } .whisker { stroke: #1f2328; opacity: .6 } .title { font-weight: 600; font-size: 14px } .group { font-weight: 600 }\n")
	for i, p := range palette {
		fmt.Fprintf(b, " .c%d { fill: %s }\n", i, p.light)
	}
	b.WriteString(" .tuned { opacity: .55 }\n @media (prefers-color-scheme: dark) {\n  text { fill: #e6edf3 } .axis { stroke: #6e7681 } .whisker { stroke: #e6edf3 }\n")
	for i, p := range palette {
		fmt.Fprintf(b, "  .c%d { fill: %s }\n", i, p.dark)
	}
	b.WriteString(" }\n</style>\n")
	b.WriteString(`<text x="8" y="20" class="title">dlm beside its peers: medians of the rounds, thin lines from the lowest to the highest</text>` + "\n")
	b.WriteString(`<text x="8" y="36">Every group has its own logarithmic scale; the vertical line is 1 ×.</text>` + "\n")
}

// measure names what a group's bars are ratios of.
func measure(group string) string {
	switch {
	case strings.Contains(group, "hot key"):
		return "owner switches ÷ redsync, more is better"
	case strings.Contains(group, "p99"):
		return "÷ the same library's healthy p99, less is better"
	}
	return "time ÷ raw, less is better"
}

// scale maps ratios to x, with 1 always in sight.
type scale struct{ low, high float64 }

func scaleOf(g []bar) scale {
	s := scale{math.Log(0.8), math.Log(1.25)}
	for _, one := range g {
		for _, v := range []float64{one.value, one.low, one.high} {
			if drawable(v) {
				s.low, s.high = min(s.low, math.Log(v)-0.1), max(s.high, math.Log(v)+0.1)
			}
		}
	}
	return s
}

func drawable(v float64) bool { return v > 0 && !math.IsInf(v, 0) && !math.IsNaN(v) }

func (s scale) x(v float64) float64 {
	return labelWidth + (math.Log(v)-s.low)/(s.high-s.low)*(pictureWidth-labelWidth-valueWidth)
}

func drawGroup(b *strings.Builder, g []bar, y int) int {
	s := scaleOf(g)
	fmt.Fprintf(b, `<text x="8" y="%d" class="group">%s</text><text x="%d" y="%d" text-anchor="end" opacity=".8">%s</text>`+"\n",
		y+14, html.EscapeString(g[0].group), pictureWidth-8, y+14, measure(g[0].group))
	y += groupGap - 8
	fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" class="axis"/>`+"\n", s.x(1), s.x(1), y-2, y+len(g)*barStep-2)
	for i, one := range g {
		drawBar(b, one, s, y+i*barStep)
	}
	return y + len(g)*barStep + 8
}

func drawBar(b *strings.Builder, one bar, s scale, y int) {
	middle := y + barHeight/2
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, labelWidth-8, y+barHeight-2, html.EscapeString(one.name))
	if !drawable(one.value) {
		b.WriteString("\n")
		return
	}
	one1, value := s.x(1), s.x(one.value)
	fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" class="%s"/>`,
		min(one1, value), y, max(math.Abs(value-one1), 2), barHeight, class(one.name))
	if drawable(one.low) && drawable(one.high) && one.low < one.high {
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" class="whisker"/>`, s.x(one.low), s.x(one.high), middle, middle)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s ×</text>`+"\n", pictureWidth-8, y+barHeight-2, short(one.value))
}

// class is the colour of a library; tuned ones are paler.
func class(name string) string {
	plain := strings.TrimSuffix(name, " tuned")
	for i, p := range palette {
		if p.name == plain {
			c := fmt.Sprintf("c%d", i)
			if plain != name {
				c += " tuned"
			}
			return c
		}
	}
	return "c0"
}
