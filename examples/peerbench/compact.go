package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// compact is the table for the front page: one line per load, one column per
// library in its default configuration, medians only; and below it what was
// reached for and not met, or that all was.
func compact(w io.Writer, sections []section) {
	var all, missed []goal
	var bars []bar
	for _, s := range sections {
		bars = append(bars, s.bars...)
		for _, g := range s.goals {
			all = append(all, g)
			if !g.met {
				missed = append(missed, g)
			}
		}
	}
	libraries := defaults()
	line(w, append([]string{"load", "measured"}, libraries...))
	line(w, slices.Repeat([]string{"---"}, len(libraries)+2))
	for _, group := range grouped(bars) {
		cells := []string{group[0].group, measure(group[0].group)}
		for _, name := range libraries {
			cells = append(cells, barCell(group, name))
		}
		line(w, cells)
	}
	fmt.Fprintf(w, "\n%d of %d goals met in this run.", len(all)-len(missed), len(all))
	if len(missed) > 0 {
		fmt.Fprint(w, " Not met:\n\n")
		line(w, []string{"what", "reach", "measured (median)"})
		line(w, slices.Repeat([]string{"---"}, 3))
		for _, g := range missed {
			line(w, []string{g.what, g.reach, g.measured})
		}
	}
	fmt.Fprintln(w)
}

// defaults are the libraries without the tuned ones.
func defaults() (names []string) {
	for _, c := range contenders() {
		if !strings.HasSuffix(c.name, " tuned") {
			names = append(names, c.name)
		}
	}
	return names
}

func barCell(group []bar, name string) string {
	for _, one := range group {
		if one.name == name && drawable(one.value) {
			return short(one.value) + " ×"
		}
	}
	return "–"
}
