package main

// scene is what the page shows at one moment.
type scene struct {
	Stays     bool         `json:"stays"`   // the demo goes on until it is interrupted
	Loading   bool         `json:"loading"` // the bursts are over
	Nodes     []nodeInView `json:"nodes"`
	Processes []procInView `json:"processes"`
	Sides     []figures    `json:"sides"` // without dlm, and with it
	Columns   []string     `json:"columns"`
	Acts      []actInView  `json:"acts"`
}

type nodeInView struct {
	Addr   string `json:"addr"`
	State  string `json:"state"`
	Votes  int    `json:"votes"` // in the eyes of so many processes
	Of     int    `json:"of"`
	Reason string `json:"reason,omitempty"` // why not in those of the others
}

type procInView struct {
	Framework string  `json:"framework"`
	Alive     bool    `json:"alive"`
	Debug     string  `json:"debug"` // the URL of its debug page
	Inside    *inside `json:"inside,omitempty"`
}

type actInView struct {
	Title string   `json:"title"`
	With  string   `json:"with"`
	Dlm   bool     `json:"dlm"`
	Done  float64  `json:"done"` // a part of 1
	Cells []string `json:"cells,omitempty"`
	Kept  bool     `json:"kept"` // every promise
}

func programme() (list []actInView) {
	for _, a := range acts {
		list = append(list, actInView{Title: a.title, With: withOrWithout[a.dlm], Dlm: a.dlm})
	}
	return list
}

// cellsOf are those of the terminal's table.
func cellsOf(o *outcome) (cells []string) {
	for _, c := range columns[titles:] {
		cells = append(cells, c.cell(o))
	}
	return cells
}

func columnNames() (names []string) {
	for _, c := range columns[titles:] {
		names = append(names, c.name)
	}
	return names
}

// showProcesses pairs the processes with what they say.
func showProcesses(f *fleet, said []*inside) (list []procInView) {
	for i, p := range f.all() {
		list = append(list, procInView{Framework: p.framework, Alive: p.alive(), Debug: p.url + debugPath, Inside: said[i]})
	}
	return list
}

// showNodes adds up the processes' views of each node.
func showNodes(members []*member, said []*inside) (list []nodeInView) {
	for i, m := range members {
		n := nodeInView{Addr: m.addr, State: m.now()}
		for _, in := range said {
			if in == nil || i >= len(in.Nodes) {
				continue
			}
			n.Of++
			n.Votes += number(in.Nodes[i].Voting)
			if !in.Nodes[i].Voting {
				n.Reason = in.Nodes[i].Reason
			}
		}
		list = append(list, n)
	}
	return list
}
