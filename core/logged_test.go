package core

import (
	"strings"
	"sync"
)

// logLines counts what is logged.
type logLines struct {
	mu    sync.Mutex
	lines []string // guarded by mu
}

func (w *logLines) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, string(p))
	return len(p), nil
}

func (w *logLines) about(text string) (count int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.lines {
		if strings.Contains(line, text) {
			count++
		}
	}
	return count
}
