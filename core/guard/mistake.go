package guard

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
)

// mistakes are the mistakes in the program that were logged, so that each is
// logged once, however many requests meet it.
type mistakes struct {
	mu   sync.Mutex
	told map[string]struct{} // guarded by mu
}

// A mistake has one text per route. Texts beyond these bounds hold something of
// the request, and are logged as often as they come.
const (
	maxMistakes    = 256
	maxMistakeText = 1 << 10
)

// first reports whether the mistake was not logged before.
func (m *mistakes) first(text string) bool {
	if len(text) > maxMistakeText {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, again := m.told[text]; again {
		return false
	}
	if m.told == nil {
		m.told = map[string]struct{}{}
	}
	if len(m.told) < maxMistakes {
		m.told[text] = struct{}{}
	}
	return true
}

func (g *Guard) logMistake(r *http.Request, err error) {
	if !g.mistakes.first(r.Method + " " + r.Pattern + " " + err.Error()) {
		return
	}
	g.Logger.LogAttrs(context.WithoutCancel(r.Context()), slog.LevelError, "dlm: request refused: mistake in the program; logged once",
		slog.String("method", r.Method), slog.String("route", r.Pattern), slog.Any("error", err))
}
