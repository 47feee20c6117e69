package main

import (
	"errors"
	"fmt"
	"net/url"
	"sync"
)

// breakable is a Redis server that the demo has started, embedded or real.
type breakable interface {
	Addr() string
	Kill() error
	Freeze() error
	Thaw() error
	Restart() error
}

// member is one of the nodes. One that was given to the demo is never touched.
type member struct {
	addr   string
	server breakable // nil for a given one

	mu    sync.Mutex
	state string // guarded by mu
}

const (
	running = "running"
	frozen  = "frozen"
	down    = "down"
	given   = "given" // of its state we know nothing
)

func ownMembers[S breakable](servers []S) (members []*member) {
	for _, s := range servers {
		members = append(members, &member{addr: s.Addr(), server: s, state: running})
	}
	return members
}

// givenMembers are named without the credentials in their URLs.
func givenMembers(urls []string) (members []*member) {
	for _, raw := range urls {
		addr := "?"
		if u, err := url.Parse(raw); err == nil {
			addr = u.Host + u.Path
		}
		members = append(members, &member{addr: addr, state: given})
	}
	return members
}

func (m *member) now() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}

var errGiven = errors.New("the demo does not touch servers that it did not start")

// do breaks the server, or mends it.
//
//	          running   frozen    down
//	kill      down      down      down
//	freeze    frozen    frozen    refused
//	thaw      running   running   refused
//	restart   running, and empty, from all
func (m *member) do(action string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.server == nil {
		return errGiven
	}
	if m.state == down && (action == "freeze" || action == "thaw") {
		return fmt.Errorf("%s: %s is down: restart it", action, m.addr)
	}
	act, next := m.server.Kill, down
	switch action {
	case "kill":
	case "freeze":
		act, next = m.server.Freeze, frozen
	case "thaw":
		act, next = m.server.Thaw, running
	case "restart":
		act, next = m.server.Restart, running
	default:
		return fmt.Errorf("%q is nothing that can be done to a node", action)
	}
	if err := act(); err != nil {
		return err
	}
	m.state = next
	return nil
}
