package wire

// ring is a queue of calls in flight that reuses its memory.
type ring struct {
	calls []flight
	head  int
	n     int
}

func (r *ring) len() int { return r.n }

func (r *ring) push(f flight) {
	if r.n == len(r.calls) {
		r.grow()
	}
	r.calls[(r.head+r.n)&(len(r.calls)-1)] = f
	r.n++
}

func (r *ring) front() *flight { return &r.calls[r.head] }

func (r *ring) pop() flight {
	f := r.calls[r.head]
	r.calls[r.head] = flight{}
	r.head = (r.head + 1) & (len(r.calls) - 1)
	r.n--
	return f
}

// at is the i-th from the front.
func (r *ring) at(i int) *flight { return &r.calls[(r.head+i)&(len(r.calls)-1)] }

// drop takes n from the front.
func (r *ring) drop(n int) {
	if n == 0 {
		return
	}
	end := r.head + n
	clear(r.calls[r.head:min(end, len(r.calls))])
	clear(r.calls[:max(end-len(r.calls), 0)])
	r.head = end & (len(r.calls) - 1)
	r.n -= n
}

// grow doubles, so the length stays a power of two.
func (r *ring) grow() {
	calls := make([]flight, max(16, 2*len(r.calls)))
	for i := range r.n {
		calls[i] = r.calls[(r.head+i)&(len(r.calls)-1)]
	}
	r.calls, r.head = calls, 0
}
