// Package examples checks that what the pages show is what the programs say.
package examples

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// page is a file of Markdown.
type page struct {
	name string // from the root of the module, with slashes
	text string
}

// pages are all there are.
func pages(t *testing.T) (found []page) {
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case strings.HasSuffix(name, ".md"):
			text, err := fs.ReadFile(root, name)
			found = append(found, page{name, string(text)})
			return err
		}
		return nil
	})
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(found, func(p page) bool { return p.name == "keyfuncs/README.md" }))
	return found
}

// snippet is one block of Go in a page.
type snippet struct {
	text string
	from string // the file it quotes, said in a comment before it
	at   string // page and line
}

// block finds Go code with the comment before it, if there is one.
var block = regexp.MustCompile("(?m)(?:^<!-- (\\S+\\.go) -->\n+)?^```go\n((?s:.*?))^```$")

func (p page) snippets(t *testing.T) (found []snippet) {
	for _, m := range block.FindAllStringSubmatchIndex(p.text, -1) {
		s := snippet{text: p.text[m[4]:m[5]], at: p.name + ":" + strconv.Itoa(strings.Count(p.text[:m[4]], "\n")+1)}
		if m[2] >= 0 {
			s.from = p.text[m[2]:m[3]]
		}
		found = append(found, s)
	}
	require.Len(t, found, strings.Count(p.text, "```go"), "%s: a block of Go that is not understood", p.name)
	return found
}

// Every block is a whole program, which is compiled here, or says which file it
// quotes. Of the files that are quoted those of this module are compiled here
// too, tests and other modules by their own tests.
func TestGoInPages(t *testing.T) {
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	packages := map[string]bool{}
	for _, p := range pages(t) {
		for i, s := range p.snippets(t) {
			if s.from != "" {
				requireQuote(t, root, s)
				if dir := filepath.Dir(s.from); !nested(root, dir) && !strings.HasSuffix(s.from, "_test.go") {
					packages["./"+filepath.ToSlash(dir)] = true
				}
				continue
			}
			name := "readme" + strconv.Itoa(len(packages)) + "x" + strconv.Itoa(i)
			overlay.Replace[filepath.Join(root, "examples", name, "main.go")] = program(t, s)
			packages["./examples/"+name] = true
		}
	}

	replace, err := json.Marshal(overlay)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(file, replace, 0o600))
	// go build would link each of them too, which takes a minute and shows nothing more.
	compile := exec.Command("go", append([]string{"list", "-export", "-overlay", file}, slices.Sorted(maps.Keys(packages))...)...)
	compile.Dir = root
	out, err := compile.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func requireQuote(t *testing.T, root string, s snippet) {
	t.Helper()
	quoted, err := os.ReadFile(filepath.Join(root, s.from))
	require.NoError(t, err, s.at)
	require.True(t, strings.Contains(outdented(string(quoted)), outdented(s.text)), "%s is not in %s", s.at, s.from)
}

// program writes a snippet that is one into a file.
func program(t *testing.T, s snippet) (file string) {
	t.Helper()
	_, err := parser.ParseFile(token.NewFileSet(), s.at, s.text, parser.AllErrors)
	require.NoError(t, err, "%s is neither a program nor says which file it quotes", s.at)
	require.Contains(t, s.text, "\nfunc main() {", s.at) // of which only the linker would tell
	file = filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, []byte(s.text), 0o600))
	return file
}

// nested reports whether a directory is of another module below the root.
func nested(root, dir string) bool {
	for ; dir != "."; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(root, dir, "go.mod")); err == nil {
			return true
		}
	}
	return false
}

// outdented is code without the indentation that a quote may lose.
func outdented(code string) string {
	lines := strings.Split(strings.TrimSpace(code), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimLeft(line, "\t")
	}
	return strings.Join(lines, "\n")
}

var (
	link   = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	target = regexp.MustCompile("`make (\\w+)")
)

// Every file, package and make target that a page names is there.
func TestLinksInPages(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	require.NoError(t, err)
	links := 0
	for _, p := range pages(t) {
		for _, l := range link.FindAllStringSubmatch(p.text, -1) {
			_, err := os.Stat(filepath.Join("..", filepath.Dir(p.name), l[1]))
			require.NoError(t, err, p.name)
			links++
		}
		for _, named := range target.FindAllStringSubmatch(p.text, -1) {
			require.Contains(t, string(makefile), "\n"+named[1]+":", "%s: make %s", p.name, named[1])
		}
	}
	require.NotZero(t, links)
}

// anchor is what a heading of README.md is linked by.
func anchor(heading string) string {
	return strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

func TestAnchorsInReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	anchors := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(readme), -1) {
		anchors[anchor(heading[1])] = true
	}
	for _, l := range regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(string(readme), -1) {
		require.True(t, anchors[l[1]], "#%s", l[1])
	}
}

// Every direct dependency has its row in README.md, with a reason, and every row
// is of a dependency.
func TestDependenciesInReadme(t *testing.T) {
	edit := exec.Command("go", "mod", "edit", "-json")
	edit.Dir = ".."
	out, err := edit.Output()
	require.NoError(t, err)
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	require.NoError(t, json.Unmarshal(out, &mod))
	direct := map[string]bool{}
	for _, r := range mod.Require {
		if !r.Indirect {
			direct[r.Path] = true
		}
	}
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(readme), "\n## Dependencies\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n## ")
	explained := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`.+`) \\| (\\S.*) \\|$").FindAllStringSubmatch(table, -1) {
		for name := range strings.SplitSeq(row[1], ", ") {
			explained[strings.Trim(name, "`")] = true
		}
	}
	require.Equal(t, direct, explained)
}

// Every program is in README.md's list of them.
func TestExamplesInReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	programs, err := filepath.Glob("*/main.go")
	require.NoError(t, err)
	for _, main := range programs {
		require.Contains(t, string(readme), "](examples/"+filepath.ToSlash(filepath.Dir(main))+")")
	}
}
