package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed assets
var embedded embed.FS

// handler serves the page, its stream of scenes and its buttons to this machine.
func (v *view) handler(addr string) http.Handler {
	assets, err := fs.Sub(embedded, "assets")
	if err != nil {
		panic(err) // embedded
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(assets))
	mux.HandleFunc("GET /scenes", v.scenes)
	mux.HandleFunc("POST /act", v.button)
	sameOrigin := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopback(r, addr) {
			http.Error(w, "this page is for this machine: "+v.url, http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		sameOrigin.ServeHTTP(w, r)
	})
}

// writeTime is how long a page may take to read one scene.
const writeTime = 5 * time.Second

// scenes sends every scene as a server-sent event.
func (v *view) scenes(w http.ResponseWriter, r *http.Request) {
	if !v.audience.enter() {
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer v.audience.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	for {
		text, fresh := v.last()
		_ = control.SetWriteDeadline(time.Now().Add(writeTime))
		if text != nil {
			if _, err := fmt.Fprintf(w, "retry: 1000\ndata: %s\n\n", text); err != nil || control.Flush() != nil {
				return
			}
		}
		select {
		case <-fresh:
		case <-r.Context().Done():
			return
		}
	}
}

// button does what was pressed and says what went wrong. What has begun is
// finished though the page may go away.
func (v *view) button(w http.ResponseWriter, r *http.Request) {
	i, err := strconv.Atoi(r.FormValue("index"))
	if err != nil {
		http.Error(w, "index: "+err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
	defer cancel()
	err = v.act(ctx, r.FormValue("kind"), i, r.FormValue("action"))
	switch {
	case errors.Is(err, errUnknown):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusConflict)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// loopback reports whether the request is for this very address: a name that
// somebody else's server has made to point here is not.
func loopback(r *http.Request, addr string) bool {
	_, port, _ := strings.Cut(addr, ":")
	return r.Host == addr || r.Host == "localhost:"+port
}
