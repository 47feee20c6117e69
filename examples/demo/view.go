package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// view is the demo in a browser.
type view struct {
	url      string
	fleet    *fleet
	nodes    *nodes
	stays    bool
	load     *load
	audience *audience
	server   *http.Server
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	loading bool          // guarded by mu
	acts    []actInView   // guarded by mu
	latest  []byte        // the last scene. Guarded by mu
	fresh   chan struct{} // closed when there is another one. Guarded by mu
}

// openView serves the page, on this machine only, until Close.
func openView(f *fleet, n *nodes, stays bool) (*view, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	v := &view{
		url: "http://" + listener.Addr().String(), fleet: f, nodes: n, stays: stays,
		audience: newAudience(), acts: programme(), fresh: make(chan struct{}),
	}
	v.load = newLoad(f, v.audience)
	ctx, cancel := context.WithCancel(context.Background())
	v.stop = cancel
	v.server = &http.Server{Handler: v.handler(listener.Addr().String()), ReadHeaderTimeout: time.Minute}
	v.running.Go(func() { _ = v.server.Serve(listener) })
	v.running.Go(func() { v.draw(ctx) })
	return v, nil
}

// Close ends the page and all that is done for it.
func (v *view) Close() error {
	v.stop()
	err := v.server.Close()
	v.running.Wait()
	return err
}

// stay keeps the fleet under load while somebody looks on, until ctx is over. Its
// error is a broken promise.
func (v *view) stay(ctx context.Context) error {
	v.mu.Lock()
	v.loading = true
	v.mu.Unlock()
	v.load.run(ctx)
	if seen := v.load.sides[1].meter.read(); seen.Overlaps > 0 || seen.Lost > 0 {
		return fmt.Errorf("broken promises: of %d payments %d overlapped, %d were lost", seen.Payments, seen.Overlaps, seen.Lost)
	}
	return nil
}

// played shows how far the bursts are.
func (v *view) played(number int, done float64, o *outcome) {
	v.mu.Lock()
	defer v.mu.Unlock()
	a := &v.acts[number]
	a.Done = done
	if o != nil {
		a.Cells, a.Kept = cellsOf(o), len(o.broken()) == 0
	}
}

// draw makes a scene of every second, while somebody looks on.
func (v *view) draw(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for v.audience.wait(ctx) {
		v.show(v.scene(ctx))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, s := range v.load.sides {
			s.meter.turn()
		}
	}
}

func (v *view) scene(ctx context.Context) scene {
	said := v.fleet.lookInside(ctx)
	s := scene{
		Stays: v.stays, Nodes: showNodes(v.nodes.members, said), Processes: showProcesses(v.fleet, said), Columns: columnNames(),
	}
	for _, side := range v.load.sides {
		s.Sides = append(s.Sides, side.meter.read())
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	s.Loading, s.Acts = v.loading, append(s.Acts, v.acts...)
	return s
}

func (v *view) show(s scene) {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // of plain fields
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.latest = text
	close(v.fresh)
	v.fresh = make(chan struct{})
}

// last gives the last scene and what tells of the next.
func (v *view) last() ([]byte, <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.latest, v.fresh
}

var errUnknown = errors.New("there is no such thing to do")

// act does what a button says.
func (v *view) act(ctx context.Context, kind string, i int, action string) error {
	switch {
	case !v.stays || !v.isLoading():
		return errors.New("the bursts are not over, or the demo ends with them: make demo BROWSER=1")
	case kind == "node" && 0 <= i && i < len(v.nodes.members):
		return v.nodes.members[i].do(action)
	case kind == "process" && 0 <= i && i < len(frameworks) && action == "kill":
		v.fleet.kill(i)
		return nil
	case kind == "process" && 0 <= i && i < len(frameworks) && action == "start":
		return v.fleet.revive(ctx, i)
	}
	return errUnknown
}

func (v *view) isLoading() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.loading
}
