// Package chromium opens pages in a headless Chromium, for tests that press
// buttons and read what is shown.
package chromium

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// Page is an open page. Its methods end the test on failure; they are for one
// goroutine.
type Page struct {
	tb      testing.TB
	to      io.Writer
	from    *bufio.Reader
	session string
	id      int
}

// Open shows the page at url in a browser of its own, until the test ends. Without
// Chromium in $PATH the test is skipped and says so.
func Open(tb testing.TB, url string, flags ...string) *Page {
	tb.Helper()
	p := &Page{tb: tb}
	p.launch(browser(tb), flags)
	var target struct{ TargetID string }
	p.call("Target.createTarget", map[string]any{"url": url}, &target)
	var attached struct{ SessionID string }
	p.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	p.session = attached.SessionID
	return p
}

func browser(tb testing.TB) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	tb.Skip("no Chromium in $PATH, so the page is not opened in a browser; apt-get install -y chromium (Debian, Ubuntu)")
	return ""
}

// launch starts the browser. It takes commands on its descriptor 3 and answers on
// 4 (--remote-debugging-pipe), so no port is open.
func (p *Page) launch(path string, flags []string) {
	p.tb.Helper()
	commands, to, err1 := os.Pipe()
	from, answers, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		p.tb.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--no-first-run", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--user-data-dir=" + profile(p.tb),
	}, flags...)...)
	cmd.ExtraFiles = []*os.File{commands, answers}
	err := cmd.Start()
	_, _ = commands.Close(), answers.Close()
	if err != nil {
		p.tb.Fatal(err)
	}
	p.to, p.from = to, bufio.NewReader(from)
	overdue := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	end := sync.OnceFunc(func() {
		overdue.Stop()
		_, _ = to.Close(), from.Close() // the browser ends with the pipe
		killer := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // its status says nothing
		killer.Stop()
	})
	p.tb.Cleanup(end)
}

// profile is not a TempDir of the test: what is left of the browser may write a
// moment longer, which is no failure.
func profile(tb testing.TB) string {
	dir, err := os.MkdirTemp("", "chromium")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// call sends one command of the DevTools protocol
// (https://chromedevtools.github.io/devtools-protocol/) and reads its result;
// events in between are passed over. Messages end with a zero byte.
func (p *Page) call(method string, params, result any) {
	p.tb.Helper()
	p.id++
	message := map[string]any{"id": p.id, "method": method, "params": params}
	if p.session != "" {
		message["sessionId"] = p.session
	}
	text, err := json.Marshal(message)
	if err != nil {
		p.tb.Fatal(err)
	}
	if _, err := p.to.Write(append(text, 0)); err != nil {
		p.tb.Fatalf("%s: %v", method, err)
	}
	for {
		text, err := p.from.ReadBytes(0)
		if err != nil {
			p.tb.Fatalf("%s: the browser has ended: %v", method, err)
		}
		var answer struct {
			ID     int
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := json.Unmarshal(text[:len(text)-1], &answer); err != nil {
			p.tb.Fatalf("%s: %v", method, err)
		}
		if answer.ID != p.id {
			continue
		}
		if answer.Error != nil {
			p.tb.Fatalf("%s: %s", method, answer.Error.Message)
		}
		if err := json.Unmarshal(answer.Result, result); err != nil {
			p.tb.Fatalf("%s: %v", method, err)
		}
		return
	}
}

// Eval runs script in the page and gives what it evaluates to, as JSON does: a
// number is a float64.
func (p *Page) Eval(script string) any {
	p.tb.Helper()
	var out struct {
		Result           struct{ Value any }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	p.call("Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true, "awaitPromise": true}, &out)
	if e := out.ExceptionDetails; e != nil {
		p.tb.Fatalf("%s: %s", script, e.Exception.Description)
	}
	return out.Result.Value
}

// Text is what the first element of a CSS selector reads; "" without one.
func (p *Page) Text(selector string) string {
	p.tb.Helper()
	text, _ := p.Eval(fmt.Sprintf("document.querySelector(%q)?.textContent ?? ''", selector)).(string)
	return text
}

// Number is Text as a number; -1 where it is none.
func (p *Page) Number(selector string) int {
	p.tb.Helper()
	var n int
	if _, err := fmt.Sscan(p.Text(selector), &n); err != nil {
		return -1
	}
	return n
}

// Press clicks the first element of a CSS selector.
func (p *Page) Press(selector string) {
	p.tb.Helper()
	p.Eval(fmt.Sprintf("document.querySelector(%q).click()", selector))
}

// Screenshot is the page as a PNG.
func (p *Page) Screenshot() []byte {
	p.tb.Helper()
	var out struct{ Data []byte }
	p.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &out)
	return out.Data
}
