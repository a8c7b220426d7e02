// Long work in parts: whoever looks at the page can scroll and type meanwhile.

const MAX_MS = 16

export class Pace {
  constructor () {
    this.since = performance.now()
  }

  // Between two steps of the work: lets the page draw and listen where that was long ago.
  async step () {
    if (performance.now() - this.since < MAX_MS) return
    await new Promise((resolve) => setTimeout(resolve))
    this.since = performance.now()
  }
}
