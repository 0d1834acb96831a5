package pjrt

// keep notes a buffer, and drop that it is gone. The caller has the lock.
func (c *Client) keep(name Buffer, b buffer) {
	c.counting.Lock()
	defer c.counting.Unlock()
	c.buffers[name] = b
}

func (c *Client) drop(name Buffer) {
	c.counting.Lock()
	defer c.counting.Unlock()
	delete(c.buffers, name)
}

// Held returns how many bytes lie in buffers on a device. It does not wait for a request.
func (c *Client) Held(device int) int64 {
	c.counting.Lock()
	defer c.counting.Unlock()
	total := 0
	for _, b := range c.buffers {
		if b.device == device && !b.donated {
			total += b.shape.bytes()
		}
	}
	return int64(total)
}

// Buffers returns how many buffers there are on a device. It does not wait for a request.
func (c *Client) Buffers(device int) (n int) {
	c.counting.Lock()
	defer c.counting.Unlock()
	for _, b := range c.buffers {
		if b.device == device && !b.donated {
			n++
		}
	}
	return n
}
