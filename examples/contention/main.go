// Command contention makes exports that take a while, one at a time for each
// customer, and tells whoever asks meanwhile since when one is being made,
// rather than have the client wait: problem details (RFC 9457) with 409 Conflict.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/examples/internal/redisnodes"
	"github.com/market-intel-brain/dlm/examples/internal/web"
	"github.com/market-intel-brain/dlm/keyfuncs"
	"github.com/market-intel-brain/dlm/nethttplock"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", "localhost:8080")
	if err == nil {
		err = run(ctx, listener, export)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// export stands for the work.
func export(ctx context.Context, customer string) (string, error) {
	select {
	case <-time.After(10 * time.Second):
		return "everything about customer " + customer, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func run(ctx context.Context, listener net.Listener, export func(context.Context, string) (string, error)) error {
	nodes, stop, err := redisnodes.Open() // those of REDIS_NODES, or embedded ones
	if err != nil {
		return err
	}
	defer stop()
	locks, err := core.New(core.Config{Nodes: nodes})
	if err != nil {
		return err
	}
	defer locks.Close()
	key := keyfuncs.MustTemplate("export_<customer>")
	exports, err := guard.New(guard.Config{
		Locks: locks, Key: key,
		Scope:            guard.ScopeNamespace, // the lock is named by the key itself, so that Inspect finds it
		Wait:             -1,                   // nobody waits
		ContentionStatus: http.StatusConflict,
		OnContention:     busy(locks, key),
	})
	if err != nil {
		return err
	}
	defer exports.Close()

	mux := http.NewServeMux()
	mux.Handle("POST /customers/{customer}/export", nethttplock.Wrap(exports, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := export(r.Context(), r.PathValue("customer"))
		if err != nil {
			http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, text) // the client may have gone
	})))
	return web.Serve(ctx, listener, mux)
}

// problem is the answer to whoever finds an export under way (RFC 9457).
type problem struct {
	Title  string     `json:"title"`
	Status int        `json:"status"`
	Since  *time.Time `json:"since,omitempty"` // absent where the export has just ended
}

// busy answers while another request has the lock. That Redis is down is no
// contention, and does not come here.
func busy(locks *core.Manager, key keyfuncs.Func) func(http.ResponseWriter, *http.Request, *guard.Refusal) {
	return func(w http.ResponseWriter, r *http.Request, refusal *guard.Refusal) {
		p := problem{Title: "an export of this customer is being made", Status: refusal.Status}
		if name, err := key(r); err == nil {
			if info, err := locks.Inspect(r.Context(), name); err == nil {
				p.Since = &info.AcquiredAt
			} else if !errors.Is(err, core.ErrNotLocked) {
				log.Print(err)
			}
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(refusal.Status) // Retry-After is set already
		_ = json.NewEncoder(w).Encode(p)
	}
}
