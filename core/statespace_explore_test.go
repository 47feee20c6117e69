package core

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// The exploration visits every state that contenders can reach, breadth first,
// so that a counterexample is a shortest one.
//
// One step is one message taking effect on one node, together with the fate of
// its reply, or one decision of a contender, or one key's expiry. Where the
// engine has an order (one connection keeps its messages in order), the model
// has none: a message of an attempt may take effect whenever the attempt was
// far enough to send it, or long after the attempt was given up. So everything
// the engine can do is explored, and some things besides.
//
// Replies are not modelled one by one. That a reply to a raise or a renewal was
// lost leaves the contender with fewer choices than if it had come, and none
// that it does not have otherwise; so it is taken as heard, and acting upon it
// is the contender's choice. Replies to an acquire do force something, the
// highest token among them, so there every set of replies is a choice.
//
// Bounds, beside those of the scenario (contenders, nodes, which faults):
//   - every contender makes one attempt; a retry is one more contender, since
//     each attempt has an owner of its own;
//   - an attempt asks a node twice: by a claim and a script, or by the script and
//     its repetition, which may come while the lock is held; after its end one of its messages takes effect on one node,
//     or none where the scenario is prompt;
//   - a lease is renewed once, and each node loses its data once;
//   - one key: other keys of the bucket only move counters up.
//
// It is one goroutine's work, in which the race detector has nothing to find and
// takes three quarters of the time: so all of it, and the model's, is go:norace.
type explorer struct {
	scenario
	seen   map[state]struct{}
	states []state // in the order found
	steps  []step  // how each was first reached
}

// scenario is what is explored.
type scenario struct {
	nodes, contenders int
	block             uint8 // tokens of one grant
	spread            uint8 // counters begin anywhere from 0 to this: other keys have used them
	clocks            bool  // proposals grow with the time of the attempt
	claims            bool  // claims first, as on connections of our own; else scripts alone, as through go-redis
	repeats           bool  // a claim or a script may be asked again by script, the first reply lost
	renewals          bool
	losses            int  // nodes that lose their data
	rewinds           bool // they lose their locks only, as by a restart from an old snapshot: marker and counters are there
	clocksJump        bool // keys expire at any moment: exclusion is lost, tokens must not be shared all the same
	prompt            bool // nothing of an attempt takes effect after its end
	rules             modelRules
}

const (
	mostNodes      = 5
	mostContenders = 3
)

// phase is how far an attempt is.
type phase uint8

const (
	idle    phase = iota
	asking        // acquires sent
	raising       // a majority granted; counters that are behind are raised
	holding       // success declared, its validity runs
	done          // released, given up or out of time: keys may be left behind
)

// attempt is one contender's.
type attempt struct {
	phase    phase
	proposal uint8
	token    uint8 // the grant's, from raising on
	renewal  uint8 // renewals confirmed
	late     uint8 // acquires that may still take effect after the end
}

// column is everything about one node, so that states which differ only in the
// order of the nodes are one state.
type column struct {
	node    modelNode
	lost    bool                  // has lost its data once
	banned  bool                  // in quarantine
	barring uint8                 // attempts that keep it there, by bit
	until   uint8                 // those of barring that a confirmed renewal frees, by bit
	voted   [mostContenders]uint8 // tokens this node gave to attempts; 0: none
	cut     uint8                 // attempts whose messages went to the server that was there before, by bit
	open    uint8                 // attempts whose acquire names the node's present marker, by bit
	claimed uint8                 // attempts that have sent their claim, by bit
	moving  uint8                 // attempts whose claim is half executed: SET but not ZADD, by bit
	ran     uint8                 // attempts whose script was executed, by bit
	asked   uint8                 // attempts that counted this node's vote and may have asked to raise it, by bit
	level   uint8                 // attempts that were told that the counter is at their token, by bit
	renewed uint8                 // attempts that were told that their renewal was seen, by bit
}

// state is comparable: it is its own hash key.
type state struct {
	columns  [mostNodes]column
	attempts [mostContenders]attempt
	clock    uint8
	highest  uint8  // last token of all grants so far
	given    uint32 // where clocks jump: all tokens given, by bit
}

// step is how a state was reached: the state before, and what happened.
type step struct {
	from          int
	what          string
	node, attempt int
}

// violation is a promise broken, and the way there.
type violation struct {
	promise string
	trace   []string
}

//go:norace
func (v *violation) String() string {
	return v.promise + "\n  " + strings.Join(v.trace, "\n  ")
}

// explore visits all states, or stops at the first violation.
//
//go:norace
func explore(sc scenario) (states int, found *violation) {
	e := &explorer{scenario: sc, seen: map[state]struct{}{}}
	e.begin(state{}, 0)
	for at := 0; at < len(e.states); at++ {
		if broken := e.expand(at); broken != "" {
			return len(e.states), &violation{promise: broken, trace: e.trace(len(e.states) - 1)}
		}
	}
	return len(e.states), nil
}

// begin adds every way in which the counters can stand before the first attempt.
//
//go:norace
func (e *explorer) begin(s state, n int) {
	if n == e.nodes {
		e.add(&s, step{from: -1})
		return
	}
	for counter := range e.spread + 1 {
		s.columns[n].node.counter = counter
		e.begin(s, n+1)
	}
}

//go:norace
func (e *explorer) trace(at int) []string {
	var lines []string
	for ; e.steps[at].from >= 0; at = e.steps[at].from {
		s := e.steps[at]
		line := fmt.Sprintf("attempt %d: %s", s.attempt+1, s.what)
		if s.node >= 0 {
			line += fmt.Sprintf(", node %d", s.node)
		}
		lines = append(lines, line)
	}
	slices.Reverse(lines)
	return append([]string{fmt.Sprintf("counters %v", e.counters(at))}, lines...)
}

//go:norace
func (e *explorer) counters(at int) (counters []uint8) {
	for _, c := range e.states[at].columns[:e.nodes] {
		counters = append(counters, c.node.counter)
	}
	return counters
}

// add keeps a state that is new.
//
//go:norace
func (e *explorer) add(s *state, how step) {
	e.bury(s)
	if e.rules == (modelRules{}) { // a trace is easier to read when contenders keep their numbers
		e.renumber(s)
	}
	slices.SortFunc(s.columns[:e.nodes], compareColumns)
	if _, old := e.seen[*s]; old {
		return
	}
	e.seen[*s] = struct{}{}
	e.states = append(e.states, *s)
	e.steps = append(e.steps, how)
}

// bury forgets attempts that can have no further effect.
//
//go:norace
func (e *explorer) bury(s *state) {
	for a := range e.contenders {
		me := &s.attempts[a]
		if me.phase != done || e.rules.raiseUnguarded && e.mayRaise(s, a) {
			continue
		}
		alive := me.late > 0
		for n := range e.nodes {
			alive = alive || s.columns[n].node.holder == uint8(a+1)
		}
		if !alive {
			*me = attempt{phase: done}
			for n := range e.nodes {
				s.columns[n].clear(a)
			}
		}
	}
}

// settle forgets where a's messages stand; what they may still do is a topping
// up's doing too, or a late acquire's.
//
//go:norace
func (c *column) settle(a int) {
	for _, bits := range []*uint8{&c.claimed, &c.moving, &c.ran} {
		*bits &^= 1 << a
	}
}

// clear forgets all that a column knows of an attempt.
//
//go:norace
func (c *column) clear(a int) {
	c.voted[a] = 0
	for _, bits := range []*uint8{&c.barring, &c.until, &c.cut, &c.open, &c.claimed, &c.moving, &c.ran, &c.asked, &c.level, &c.renewed} {
		*bits &^= 1 << a
	}
}

//go:norace
func (e *explorer) mayRaise(s *state, a int) bool {
	return slices.ContainsFunc(s.columns[:e.nodes], func(c column) bool { return c.asked>>a&1 == 1 })
}

// renumber puts the contenders, who are alike, into the order of their progress.
//
//go:norace
func (e *explorer) renumber(s *state) {
	for a := 1; a < e.contenders; a++ {
		for b := a; b > 0 && s.attempts[b].before(s.attempts[b-1]); b-- {
			e.swap(s, b-1, b)
		}
	}
}

//go:norace
func (a attempt) before(b attempt) bool {
	return a.rank() < b.rank()
}

//go:norace
func (a attempt) rank() uint32 {
	return uint32(a.phase)<<24 | uint32(a.token)<<16 | uint32(a.proposal)<<8 | uint32(a.renewal)<<1 | uint32(a.late)
}

//go:norace
func (e *explorer) swap(s *state, a, b int) {
	s.attempts[a], s.attempts[b] = s.attempts[b], s.attempts[a]
	for n := range e.nodes {
		c := &s.columns[n]
		switch c.node.holder {
		case uint8(a + 1):
			c.node.holder = uint8(b + 1)
		case uint8(b + 1):
			c.node.holder = uint8(a + 1)
		}
		c.voted[a], c.voted[b] = c.voted[b], c.voted[a]
		for _, bits := range []*uint8{&c.barring, &c.until, &c.cut, &c.open, &c.claimed, &c.moving, &c.ran, &c.asked, &c.level, &c.renewed} {
			if *bits>>a&1 != *bits>>b&1 {
				*bits ^= 1<<a | 1<<b
			}
		}
	}
}

//go:norace
func compareColumns(a, b column) int {
	x, y := a.key(), b.key()
	return bytes.Compare(x[:], y[:])
}

//go:norace
func (c *column) key() [19]byte {
	return [19]byte{
		c.node.holder, c.node.counter, c.node.token, c.node.lease, bit(c.lost), bit(c.banned), c.barring, c.until,
		c.voted[0], c.voted[1], c.voted[2], c.open, c.asked, c.level, c.renewed, c.claimed, c.moving, c.ran, c.cut,
	}
}

//go:norace
func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// expand adds every state one step away. It returns the promise that a step
// breaks, with that step's state added last.
//
//go:norace
func (e *explorer) expand(at int) (broken string) {
	s := e.states[at]
	for a := range e.contenders {
		if broken := e.decisions(at, s, a); broken != "" {
			return broken
		}
		for n := range e.nodes {
			e.messages(at, s, a, n)
		}
	}
	for n := range e.nodes {
		e.faults(at, s, n)
	}
	return ""
}

// try adds the state that change makes of s, unless change says that it cannot happen.
//
//go:norace
func (e *explorer) try(s state, how step, change func(*state) bool) {
	if change(&s) {
		e.add(&s, how)
	}
}

// decisions are what a contender does on its own.
//
//go:norace
func (e *explorer) decisions(at int, s state, a int) (broken string) {
	how := func(what string) step { return step{at, what, -1, a} }
	switch s.attempts[a].phase {
	case idle:
		// Contenders are alike: the first of the idle starts.
		if !slices.ContainsFunc(s.attempts[:a], func(b attempt) bool { return b.phase == idle }) {
			e.try(s, how("starts"), func(s *state) bool { return e.start(s, a) })
		}
	case asking:
		e.try(s, how("gives up"), func(s *state) bool { return e.end(s, a) })
		e.wins(s, how("has a majority"), a)
	case raising:
		e.try(s, how("gives up while raising"), func(s *state) bool { return e.end(s, a) })
		return e.declares(s, how, a)
	case holding:
		e.try(s, how("releases, or its validity ends"), func(s *state) bool { return e.end(s, a) })
		e.try(s, how("knows its renewal to be confirmed"), func(s *state) bool { return e.confirm(s, a) })
	case done:
	}
	return ""
}

// clockStep is further than counters can move between two attempts here, as a
// microsecond is in the engine.
const clockStep = 16

//go:norace
func (e *explorer) start(s *state, a int) bool {
	s.attempts[a].phase, s.attempts[a].proposal = asking, 1
	if e.clocks && !e.rules.clockSetBack {
		s.clock += clockStep
		s.attempts[a].proposal = s.clock
	}
	for n := range e.nodes {
		if !s.columns[n].banned {
			s.columns[n].open |= 1 << a // else it names the old marker, or none
		} else if e.rewinds {
			s.columns[n].cut |= 1 << a // it is not asked
		}
	}
	return true
}

// wins lets a have heard every majority of its votes that makes a difference:
// for each token that can be the highest heard, all votes up to that.
//
//go:norace
func (e *explorer) wins(s state, how step, a int) {
	for n := range e.nodes {
		token := s.columns[n].voted[a]
		yes := 0
		for other := range e.nodes {
			if v := s.columns[other].voted[a]; v > 0 && v <= token {
				yes++
			}
		}
		if decide(e.nodes, yes, 0) == won {
			e.try(s, how, func(s *state) bool { return e.win(s, a, token) })
		}
	}
}

//go:norace
func (e *explorer) win(s *state, a int, token uint8) bool {
	s.attempts[a].phase, s.attempts[a].token = raising, token
	for n := range e.nodes {
		switch v := s.columns[n].voted[a]; {
		case v == token:
			s.columns[n].level |= 1 << a
		case v > 0 && v < token:
			s.columns[n].asked |= 1 << a
		}
		s.columns[n].settle(a)
		s.columns[n].voted[a] = 0
	}
	return true
}

// declares makes a the holder when it may.
//
//go:norace
func (e *explorer) declares(s state, how func(string) step, a int) (broken string) {
	broken = e.declare(&s, a)
	granted := how(fmt.Sprintf("is granted token %d", s.attempts[a].token))
	if broken != "" {
		e.states, e.steps = append(e.states, s), append(e.steps, granted)
	} else if s.attempts[a].phase == holding {
		e.add(&s, granted)
	}
	return broken
}

// declare makes a the holder if enough counters are at its token, and checks
// what was promised.
//
//go:norace
func (e *explorer) declare(s *state, a int) (broken string) {
	level := 0
	for n := range e.nodes {
		level += int(s.columns[n].level >> a & 1)
	}
	if level < quorumOf(e.nodes) && !e.rules.raiseSkipped {
		return ""
	}
	me := &s.attempts[a]
	me.phase = holding
	if broken := e.check(s, a); broken != "" {
		return broken
	}
	for n := range e.nodes {
		s.columns[n].level &^= 1 << a
	}
	return ""
}

// check holds a new grant against what was promised. Where clocks jump the end
// of a lease means nothing, nor does the order of grants; what is left is that
// no two of them share a token, so that a resource can tell them apart.
//
//go:norace
func (e *explorer) check(s *state, a int) (broken string) {
	me := s.attempts[a]
	if e.clocksJump {
		block := (uint32(1)<<e.block - 1) << me.token
		if s.given&block != 0 {
			return fmt.Sprintf("token %d given twice", me.token)
		}
		s.given |= block
		return ""
	}
	for other := range e.contenders {
		if other != a && s.attempts[other].phase == holding {
			return fmt.Sprintf("two owners: %d while %d's validity runs", a+1, other+1)
		}
	}
	if me.token <= s.highest {
		return fmt.Sprintf("token %d after %d had been given", me.token, s.highest)
	}
	s.highest = me.token + e.block - 1
	return ""
}

// confirm moves the validity on when a majority has renewed.
//
//go:norace
func (e *explorer) confirm(s *state, a int) bool {
	yes := 0
	for n := range e.nodes {
		yes += int(s.columns[n].renewed >> a & 1)
	}
	if yes < quorumOf(e.nodes) || s.attempts[a].renewal > 0 {
		return false
	}
	s.attempts[a].renewal = 1
	for n := range e.nodes {
		c := &s.columns[n]
		c.renewed &^= 1 << a
		c.barring &^= c.until & (1 << a)
		c.until &^= 1 << a
	}
	return true
}

// end forgets what only a live attempt needs, and may leave its messages behind.
//
//go:norace
func (e *explorer) end(s *state, a int) bool {
	me := &s.attempts[a]
	granted := me.phase == holding
	me.phase, me.renewal, me.late = done, 0, 1-bit(e.prompt)
	for n := range e.nodes {
		c := &s.columns[n]
		c.voted[a] = 0
		c.level &^= 1 << a
		c.renewed &^= 1 << a
		c.barring &^= 1 << a
		c.until &^= 1 << a
		c.settle(a)
		if e.prompt {
			c.open &^= 1 << a
		}
		if granted && !c.lost && !e.clocksJump {
			c.open |= 1 << a // a topping up may be on its way
		}
	}
	return true
}

// messages are a's messages taking effect on node n, with the reply or without,
// and what the clock does to its key there.
//
//go:norace
func (e *explorer) messages(at int, s state, a, n int) {
	how := func(what string) step { return step{at, what, n, a} }
	me, c := s.attempts[a], s.columns[n]
	switch me.phase {
	case idle:
	case asking:
		e.asks(s, how, a, n)
	case raising:
		if c.asked>>a&1 == 1 {
			e.try(s, how("raises"), func(s *state) bool { return e.raise(s, a, n) })
		}
	case holding:
		e.try(s, how("tops up"), func(s *state) bool { return e.topUp(s, a, n) })
		if e.repeats && c.cut>>a&1 == 0 && c.claimed>>a&1 == 1 && c.ran>>a&1 == 0 && !c.banned && e.answers(&s, a, n) {
			e.try(s, how("is asked again"), func(s *state) bool { return e.acquire(s, a, n, false) })
		}
		if e.renewals && me.renewal == 0 {
			e.try(s, how("renews"), func(s *state) bool { return e.renew(s, a, n) })
		}
	case done:
		if me.late > 0 && c.cut>>a&1 == 0 {
			e.try(s, how("late claim takes effect"), func(s *state) bool { return e.lateClaim(s, a, n) })
			e.try(s, how("late acquire takes effect"), func(s *state) bool { return e.late(s, a, n) })
		}
		if c.asked>>a&1 == 1 {
			e.try(s, how("late raise takes effect"), func(s *state) bool { return e.raise(s, a, n) })
		}
	}
	if c.node.holder == uint8(a+1) {
		e.expiry(s, how, a, n)
	}
}

// asks is a's claim on n, one half after the other, and the script where the
// claim left the token open; or the script alone, and once more.
//
//go:norace
func (e *explorer) asks(s state, how func(string) step, a, n int) {
	c := s.columns[n]
	if c.cut>>a&1 == 1 {
		return
	}
	first, half := c.claimed>>a&1 == 0, c.moving>>a&1 == 1
	switch {
	case first && e.claims:
		e.try(s, how("claims"), func(s *state) bool { return e.claim(s, a, n) })
	case half:
		e.try(s, how("moves the counter"), func(s *state) bool { e.move(s, a, n); return true })
	case (first || e.claims || e.repeats) && c.ran>>a&1 == 0 && e.answers(&s, a, n) && (!e.claims || e.repeats || c.voted[a] == 0 && c.node.holder == uint8(a+1)):
		e.try(s, how("acquires"), func(s *state) bool { return e.acquire(s, a, n, first) })
	}
}

// answers reports whether the script runs on n: it looks at the marker only
// where there is no counter.
//
//go:norace
func (e *explorer) answers(s *state, a, n int) bool {
	c := &s.columns[n]
	return c.node.counter > 0 || c.open>>a&1 == 1
}

//go:norace
func (e *explorer) claim(s *state, a, n int) bool {
	c, first := &s.columns[n], s.attempts[a].proposal
	c.claimed |= 1 << a
	if c.node.claim(uint8(a+1), first) {
		c.moving |= 1 << a
	} else {
		c.node.move(first + e.block - 1)
	}
	return true
}

//go:norace
func (e *explorer) move(s *state, a, n int) {
	c, me := &s.columns[n], s.attempts[a]
	c.moving &^= 1 << a
	if c.node.move(me.proposal+e.block-1) && me.phase == asking {
		c.voted[a] = me.proposal
	}
}

//go:norace
func (e *explorer) acquire(s *state, a, n int, first bool) bool {
	c := &s.columns[n]
	if first {
		c.claimed |= 1 << a
	} else {
		c.ran |= 1 << a
	}
	token := c.node.acquire(uint8(a+1), s.attempts[a].proposal, e.block, 0, e.rules)
	c.voted[a] = token
	return token > 0
}

//go:norace
func (e *explorer) raise(s *state, a, n int) bool {
	c, token := &s.columns[n], s.attempts[a].token
	raised := c.node.raise(uint8(a+1), token, token+e.block-1, e.rules)
	if raised && s.attempts[a].phase == raising {
		c.level |= 1 << a
	}
	return raised
}

// topUp is sent by who knows of a quarantine, with the node's present marker.
//
//go:norace
func (e *explorer) topUp(s *state, a, n int) bool {
	c, me := &s.columns[n], s.attempts[a]
	switch {
	case c.banned && !e.rules.topUpBanned:
		return false
	case c.node.holder == uint8(a+1) && !e.rules.topUpShortens:
		return false // would use up tokens and nothing else
	case e.clocksJump && c.ran>>a&1 == 1:
		return false
	}
	return c.node.acquire(uint8(a+1), me.token, e.block, me.renewal, e.rules) > 0
}

//go:norace
func (e *explorer) renew(s *state, a, n int) bool {
	c := &s.columns[n]
	ok := c.node.renew(uint8(a+1), 1) == 1
	if ok {
		c.renewed |= 1 << a
	}
	return ok
}

// late is an acquire, or a topping up, that took effect after its attempt.
//
//go:norace
func (e *explorer) late(s *state, a, n int) bool {
	c, me := &s.columns[n], &s.attempts[a]
	me.late--
	return e.answers(s, a, n) && c.node.acquire(uint8(a+1), max(me.proposal, me.token), e.block, 0, e.rules) > 0
}

//go:norace
func (e *explorer) lateClaim(s *state, a, n int) bool {
	me := &s.attempts[a]
	me.late--
	s.columns[n].node.claim(uint8(a+1), me.proposal)
	s.columns[n].node.move(me.proposal + e.block - 1)
	return true
}

// expiry ends a's key on n: at any time once nobody relies on it, where the
// release looks the same; before success only by making the attempt too late;
// while the validity runs only where the last confirmed renewal was missed.
//
//go:norace
func (e *explorer) expiry(s state, how func(string) step, a, n int) {
	if me := s.attempts[a]; e.clocksJump && me.phase != done {
		e.try(s, how("key expires at any moment"), func(s *state) bool {
			c := &s.columns[n]
			c.claimed, c.ran = c.claimed|1<<a, c.ran|1<<a // or counters would grow without end
			c.node.expire()
			return true
		})
		return
	}
	switch me := s.attempts[a]; me.phase {
	case asking, raising:
		e.try(s, how("key expires: too late"), func(s *state) bool {
			s.columns[n].node.expire()
			return e.end(s, a)
		})
	case holding:
		if s.columns[n].node.lease < me.renewal {
			e.try(s, how("key that missed the renewal expires"), func(s *state) bool {
				s.columns[n].node.expire()
				return true
			})
		}
	case done:
		e.try(s, how("key is released or expires"), func(s *state) bool { return s.columns[n].node.release(uint8(a+1)) == 1 })
	case idle:
	}
}

// faults are what happens to node n by itself.
//
//go:norace
func (e *explorer) faults(at int, s state, n int) {
	c := s.columns[n]
	if !c.lost && e.lostSoFar(&s) < e.losses {
		e.try(s, step{at, "data lost", n, -1}, func(s *state) bool { return e.lose(s, n) })
	}
	if c.banned && c.node.counter == 0 && e.rules.topUpBanned {
		e.try(s, step{at, "another key of the bucket is topped up", n, -1}, func(s *state) bool {
			s.columns[n].node.counter = 1
			return true
		})
	}
	if c.banned && c.barring == 0 {
		e.try(s, step{at, "quarantine over", n, -1}, func(s *state) bool {
			s.columns[n].banned = false
			return true
		})
	}
}

//go:norace
func (e *explorer) lostSoFar(s *state) (count int) {
	for n := range e.nodes {
		count += int(bit(s.columns[n].lost))
	}
	return count
}

// lose empties a node. Messages that name its old marker are refused from now
// on; it is in quarantine until every lease that began before is over. A lease
// is over with its validity, or begins anew with a renewal that was sent later.
//
//go:norace
func (e *explorer) lose(s *state, n int) bool {
	c := &s.columns[n]
	if c.lost = true; e.rewinds {
		c.node.expire()
		e.cut(s, n)
	} else {
		c.node.forget()
		c.open = 0
	}
	if e.rules.noQuarantine {
		return true
	}
	c.banned = true
	for a := range e.contenders {
		me := s.attempts[a]
		if me.phase != asking && me.phase != raising && me.phase != holding {
			continue
		}
		c.barring |= 1 << a
		if me.phase == holding && me.renewal == 0 && !e.renewing(s, a) {
			c.until |= 1 << a
		}
	}
	return true
}

// cut voids what was sent to node n and has not been executed.
//
//go:norace
func (e *explorer) cut(s *state, n int) {
	for a := range e.contenders {
		if s.attempts[a].phase != idle && !e.rules.staleBallot {
			s.columns[n].cut |= 1 << a
			s.columns[n].moving &^= 1 << a
		}
	}
}

// renewing reports whether a renewal of a has been sent.
//
//go:norace
func (e *explorer) renewing(s *state, a int) bool {
	for n := range e.nodes {
		if s.columns[n].renewed>>a&1 == 1 || s.columns[n].node.holder == uint8(a+1) && s.columns[n].node.lease == 1 {
			return true
		}
	}
	return false
}
