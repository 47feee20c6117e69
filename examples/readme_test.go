// Package examples checks that what README.md shows is what the programs say.
package examples

import (
	"encoding/json"
	"go/parser"
	"go/token"
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

// snippet is one block of Go in README.md.
type snippet struct {
	text string
	from string // the file it quotes, said in a comment before it
	line int
}

// block finds Go code with the comment before it, if there is one.
var block = regexp.MustCompile("(?m)(?:^<!-- (\\S+\\.go) -->\n+)?^```go\n((?s:.*?))^```$")

func snippets(t *testing.T, readme string) (found []snippet) {
	for _, m := range block.FindAllStringSubmatchIndex(readme, -1) {
		s := snippet{text: readme[m[4]:m[5]], line: strings.Count(readme[:m[4]], "\n") + 1}
		if m[2] >= 0 {
			s.from = readme[m[2]:m[3]]
		}
		found = append(found, s)
	}
	require.Len(t, found, strings.Count(readme, "```go"), "a block of Go that is not understood")
	require.NotEmpty(t, found)
	return found
}

// Every block is a whole program, which is compiled here, or says which file of
// the module it quotes, which is compiled as well.
func TestGoInReadme(t *testing.T) {
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)

	overlay := struct{ Replace map[string]string }{map[string]string{}}
	packages := map[string]bool{}
	for i, s := range snippets(t, string(readme)) {
		if s.from != "" {
			quoted, err := os.ReadFile(filepath.Join(root, s.from))
			require.NoError(t, err, "README.md:%d", s.line)
			require.Contains(t, outdented(string(quoted)), outdented(s.text), "README.md:%d is not in %s", s.line, s.from)
			packages["./"+filepath.ToSlash(filepath.Dir(s.from))] = true
			continue
		}
		name := "readme" + strconv.Itoa(i)
		_, err := parser.ParseFile(token.NewFileSet(), name, s.text, parser.AllErrors)
		require.NoError(t, err, "README.md:%d is neither a program nor says which file it quotes", s.line)
		file := filepath.Join(t.TempDir(), "main.go")
		require.NoError(t, os.WriteFile(file, []byte(s.text), 0o600))
		overlay.Replace[filepath.Join(root, "examples", name, "main.go")] = file
		packages["./examples/"+name] = true
	}

	replace, err := json.Marshal(overlay)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(file, replace, 0o600))
	require.Greater(t, len(packages), 1, "go build would leave a program behind if it built one alone")
	build := exec.Command("go", append([]string{"build", "-overlay", file}, slices.Sorted(maps.Keys(packages))...)...)
	build.Dir = root
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// outdented is code without the indentation that a quote may lose.
func outdented(code string) string {
	lines := strings.Split(strings.TrimSpace(code), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimLeft(line, "\t")
	}
	return strings.Join(lines, "\n")
}

// Every file, package and make target that README.md names is there.
func TestLinksInReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	links := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`).FindAllStringSubmatch(string(readme), -1)
	require.NotEmpty(t, links)
	for _, link := range links {
		_, err := os.Stat(filepath.Join("..", link[1]))
		require.NoError(t, err)
	}
	makefile, err := os.ReadFile("../Makefile")
	require.NoError(t, err)
	for _, target := range regexp.MustCompile("`make (\\w+)").FindAllStringSubmatch(string(readme), -1) {
		require.Contains(t, string(makefile), "\n"+target[1]+":", "make %s", target[1])
	}
}
