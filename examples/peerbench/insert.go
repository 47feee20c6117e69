package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// fill puts each text into every file that has its marks; each file must have some.
func fill(paths []string, texts map[string]string) error {
	for _, path := range paths {
		old, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		filled := false
		for name, text := range texts {
			if strings.Contains(string(old), "<!-- "+name+" -->\n") {
				filled = true
				if err := insert(path, name, text); err != nil {
					return err
				}
			}
		}
		if !filled {
			return fmt.Errorf("%s: none of the marks %s", path, slices.Sorted(maps.Keys(texts)))
		}
	}
	return nil
}

// insert replaces what stands between the marks <!-- name --> and <!-- /name -->
// of a file, so that figures in a document are never typed by hand.
func insert(path, name, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	head, rest, found := strings.Cut(string(old), begin)
	_, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s: no %s… %s", path, begin[:len(begin)-1], end)
	}
	return os.WriteFile(path, []byte(head+begin+"\n"+text+end+tail), 0o644) //nolint:gosec // a document for everybody
}
