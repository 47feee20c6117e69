package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// section is one table, with what has to be known to read it.
type section struct {
	title   string
	intro   string
	columns []string
	rows    [][]string
	goals   []goal
	bars    []bar // for the picture
	locks   bool  // about locks
}

// goal is one line of what the design reaches for, with what was measured.
type goal struct {
	what     string
	reach    string
	measured string
	met      bool
}

func (s *section) row(cells ...string) { s.rows = append(s.rows, cells) }

// atMost and atLeast add a goal and return how a row shows it.
func (s *section) atMost(what string, measured, limit float64, unit string) string {
	return s.goal(goal{what, fmt.Sprintf("≤ %s%s", exact(limit), unit), short(measured) + unit, measured <= limit})
}

func (s *section) atLeast(what string, measured, limit float64, unit string) string {
	return s.goal(goal{what, fmt.Sprintf("≥ %s%s", exact(limit), unit), short(measured) + unit, measured >= limit})
}

func (s *section) goal(g goal) string {
	s.goals = append(s.goals, g)
	return g.reach + " " + mark(g.met)
}

// exact is for figures that were set, not measured.
func exact(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func mark(met bool) string {
	if met {
		return "✓"
	}
	return "✗"
}

// markdown writes the table, and below it what it reaches for.
func (s *section) markdown(w io.Writer) {
	fmt.Fprintf(w, "### %s\n\n", s.title)
	if s.intro != "" {
		fmt.Fprintf(w, "%s\n\n", s.intro)
	}
	line(w, s.columns)
	line(w, slices.Repeat([]string{"---"}, len(s.columns)))
	for _, r := range s.rows {
		line(w, r)
	}
	fmt.Fprintln(w)
}

func line(w io.Writer, cells []string) {
	fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
}

// verdict is the table of all goals.
func verdict(w io.Writer, sections []section) {
	fmt.Fprint(w, "### Reach\n\n")
	line(w, []string{"what", "reach", "measured (median)", "met"})
	line(w, slices.Repeat([]string{"---"}, 4))
	met, all := 0, 0
	for _, s := range sections {
		for _, g := range s.goals {
			line(w, []string{g.what, g.reach, g.measured, mark(g.met)})
			all++
			if g.met {
				met++
			}
		}
	}
	fmt.Fprintf(w, "\n%d of %d met.\n\n", met, all)
}
