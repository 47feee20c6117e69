package guard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strings"
	"time"
)

//go:embed debugassets
var debugAssets embed.FS

var (
	debugTemplate = template.Must(template.New("").Funcs(template.FuncMap{"lapse": lapse, "size": size}).ParseFS(debugAssets, "debugassets/view.html"))

	debugStyle, debugScript = debugAsset("page.css"), debugAsset("page.js")

	// The frame around the view. Style and script are part of it, so the page is
	// one request on any path.
	debugHead, debugFoot = debugFrame()

	// Nothing runs, loads or frames the page but what is written in it; a key that
	// got past the escaping would still be no script.
	debugPolicy = fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		sourceHash(debugStyle), sourceHash(debugScript))
)

func debugAsset(name string) string {
	text, err := debugAssets.ReadFile("debugassets/" + name)
	if err != nil {
		panic(err) // embedded
	}
	return string(text)
}

func debugFrame() (head, foot string) {
	frame := strings.NewReplacer("{{style}}", debugStyle, "{{script}}", debugScript).Replace(debugAsset("page.html"))
	head, foot, _ = strings.Cut(frame, "{{view}}")
	return head, foot
}

// sourceHash names an inline source to the browser (Content Security Policy
// Level 3, section 2.3.1).
func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// shownView is the view as one reader gets it.
type shownView struct {
	*debugView
	Exposed bool
}

func (p *debugPage) render(exposed bool) ([]byte, error) {
	var b bytes.Buffer
	err := debugTemplate.ExecuteTemplate(&b, "view.html", shownView{p.view(), exposed})
	return b.Bytes(), err
}

func (p *debugPage) page(w http.ResponseWriter, exposed bool) {
	view, err := p.render(exposed)
	if err != nil {
		http.Error(w, "the debug page could not be rendered: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", debugPolicy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	_, _ = io.WriteString(w, debugHead)
	_, _ = w.Write(view)
	_, _ = io.WriteString(w, debugFoot)
}

// streamLife ends streams, which the page opens again, so that a server that
// shuts down is not kept waiting.
const streamLife = 10 * time.Second

// stream sends the view again and again, as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
func (p *debugPage) stream(w http.ResponseWriter, r *http.Request, exposed bool) {
	select {
	case p.streams <- struct{}{}:
		defer func() { <-p.streams }()
	default:
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many debug pages are open", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep it to itself
	tick, end := time.NewTicker(debugRefresh), time.NewTimer(streamLife)
	defer tick.Stop()
	defer end.Stop()
	for {
		view, err := p.render(exposed)
		if err != nil || sendEvent(w, view) != nil {
			return
		}
		select {
		case <-tick.C:
		case <-end.C:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// sendEvent gives a reader that does not read a few seconds.
func sendEvent(w http.ResponseWriter, text []byte) error {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(5 * debugRefresh)) // not every writer can
	var b bytes.Buffer
	b.WriteString("retry: 1000\n")
	for line := range bytes.Lines(bytes.TrimRight(text, "\n")) {
		b.WriteString("data: ")
		b.Write(bytes.TrimRight(line, "\r\n"))
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	if _, err := w.Write(b.Bytes()); err != nil {
		return err
	}
	return control.Flush()
}
