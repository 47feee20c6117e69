package core

import (
	"context"
	"sync"
	"time"
)

// Close releases what is held, ends the waits with ErrClosed and every
// goroutine; later calls say ErrClosed. It takes NodeTimeout at most for nodes
// that do not answer. Calling it again waits for the first call.
func (m *Manager) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		<-m.done
		return nil
	}
	m.closed = true
	close(m.closing)
	m.mu.Unlock()
	m.watchdog.rouse()
	defer close(m.done)

	m.calls.Wait()
	end := time.Now().Add(m.cfg.NodeTimeout)
	err := m.releaseAll()
	m.stop()
	m.ends.Wait()
	for _, n := range m.nodes {
		m.ends.Go(func() { n.close(end) })
	}
	m.ends.Wait()
	return err
}

func (m *Manager) isClosed() bool {
	select {
	case <-m.closing:
		return true
	default:
		return false
	}
}

func (m *Manager) releaseAll() error {
	m.mu.Lock()
	locks := make([]*Lock, 0, m.held)
	for _, g := range m.gates {
		if g.holder != nil {
			locks = append(locks, g.holder)
		}
	}
	m.mu.Unlock()
	var (
		wait sync.WaitGroup
		errs = make([]error, len(locks))
	)
	for i, l := range locks {
		wait.Go(func() { errs[i] = l.Release(context.Background()) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (n *node) close(end time.Time) {
	n.ear.close()
	n.attestSoFar()
	n.wire.Close(max(time.Until(end), 0))
	if t := n.next.Load(); t != nil {
		t.Stop()
	}
	if n.owned {
		_ = n.pub.Close()
	}
}
