package pjrt

// Held returns how many bytes lie in buffers on a device.
func (c *Client) Held(device int) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	total := 0
	for _, b := range c.buffers {
		if b.device == device && !b.donated {
			total += b.shape.bytes()
		}
	}
	return int64(total)
}

// Buffers returns how many buffers there are on a device.
func (c *Client) Buffers(device int) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.buffers {
		if b.device == device && !b.donated {
			n++
		}
	}
	return n
}
