package core

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// Inspect describes the lock that a majority of the nodes agree on.
//
// ErrNotLocked: no owner has a majority. ErrNoQuorum: too few nodes answered to know.
func (m *Manager) Inspect(ctx context.Context, key string) (LockInfo, error) {
	info, err := m.inspect(ctx, key)
	if err != nil {
		return LockInfo{}, lockError("inspect", key, err)
	}
	return info, nil
}

// IsLocked reports whether an owner has the key on a majority of the nodes.
func (m *Manager) IsLocked(ctx context.Context, key string) (bool, error) {
	_, err := m.Inspect(ctx, key)
	if errors.Is(err, ErrNotLocked) {
		return false, nil
	}
	return err == nil, err
}

func (m *Manager) inspect(ctx context.Context, key string) (LockInfo, error) {
	if key == "" {
		return LockInfo{}, errEmptyKey
	}
	if err := contextError(ctx); err != nil {
		return LockInfo{}, err
	}
	if m.isClosed() {
		return LockInfo{}, ErrClosed
	}
	s := &survey{m: m, wait: wait{done: make(signal, 1)}, answers: make([]record, len(m.nodes)), left: len(m.nodes)}
	req := wire.NewRequest(inspectScript, 1, m.namesOf(key).lock)
	now := time.Now()
	for _, n := range m.nodes {
		n.send(now, wire.Call{Req: req, To: s})
	}
	m.awaitAnswers(ctx, &s.wait, now.Add(m.cfg.NodeTimeout), s.settled)
	info, err := s.agree(key, now)
	return info, endedBy(ctx, err)
}

// record is what one node stores for a lock.
type record struct {
	told     bool
	err      error
	owner    string
	token    uint64
	acquired time.Time
	metadata string
	left     time.Duration
}

// parseRecord reads owner:token:milliseconds:metadata.
func parseRecord(text string, left int64) (record, bool) {
	parts := strings.SplitN(text, ":", 4)
	if len(parts) != 4 || parts[0] == "" {
		return record{}, false
	}
	token, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return record{}, false
	}
	ms, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return record{}, false
	}
	return record{
		told: true, owner: parts[0], token: token, acquired: time.UnixMilli(ms),
		metadata: parts[3], left: time.Duration(left) * time.Millisecond,
	}, true
}

// survey collects every node's record.
type survey struct {
	m    *Manager
	wait // of its caller, until the answers agree

	mu      sync.Mutex
	answers []record // guarded by mu
	left    int      // guarded by mu
}

// Receive implements wire.Receiver.
func (s *survey) Receive(index int, r wire.Reply) {
	rec := record{told: true, err: r.Err}
	if r.Err == nil && len(r.Items) == 2 {
		if parsed, ok := parseRecord(r.Items[0].Text, r.Items[1].Int); ok {
			rec = parsed
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[index] = rec
	if s.left--; s.decided() {
		s.done.raise()
	}
}

func (s *survey) settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.decided()
}

// decided reports whether one owner, or none, has a majority, or no more answers
// are to come. mu is held.
func (s *survey) decided() bool {
	if s.left == 0 {
		return true
	}
	need := quorumOf(len(s.answers))
	votes := map[string]int{}
	for _, a := range s.answers {
		if a.told && a.err == nil {
			votes[a.owner]++
			if votes[a.owner] >= need {
				return true
			}
		}
	}
	return false
}

// agree is the majority's word.
func (s *survey) agree(key string, now time.Time) (LockInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	need := quorumOf(len(s.answers))
	votes, answered := map[string]int{}, 0
	var missing []NodeError
	for i, a := range s.answers {
		switch {
		case a.told && a.err == nil:
			answered++
			votes[a.owner]++
		case a.told:
			missing = append(missing, NodeError{s.m.nodes[i].name, a.err})
		default:
			missing = append(missing, NodeError{s.m.nodes[i].name, &timeoutAfter{time.Since(now)}})
		}
	}
	for owner, n := range votes {
		if owner != "" && n >= need {
			return s.describe(key, owner, now), nil
		}
	}
	if answered < need {
		return LockInfo{}, &QuorumError{Need: need, Got: answered, Nodes: missing}
	}
	return LockInfo{}, ErrNotLocked
}

// describe merges the records of one owner: the lease ends when a majority no
// longer has it, so with its need-th longest TTL. mu is held.
func (s *survey) describe(key, owner string, now time.Time) LockInfo {
	info := LockInfo{Key: key, Owner: owner}
	var lefts []time.Duration
	tokens := map[uint64]int{}
	for i, a := range s.answers {
		if !a.told || a.owner != owner {
			continue
		}
		info.Nodes = append(info.Nodes, s.m.nodes[i].name)
		info.Metadata, info.AcquiredAt = a.metadata, a.acquired
		lefts = append(lefts, a.left)
		tokens[a.token]++
		if n := tokens[a.token]; n > tokens[info.FencingToken] || n == tokens[info.FencingToken] && a.token > info.FencingToken {
			info.FencingToken = a.token
		}
	}
	slices.SortFunc(lefts, func(a, b time.Duration) int { return cmp.Compare(b, a) })
	info.TTL = lefts[min(quorumOf(len(s.answers)), len(lefts))-1]
	info.ExpiresAt = now.Add(info.TTL)
	return info
}
