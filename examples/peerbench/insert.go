package main

import (
	"fmt"
	"os"
	"strings"
)

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
