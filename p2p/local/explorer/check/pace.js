// Long work in parts: whoever looks at the page can scroll and type meanwhile.

const MAX_MS = 16

// Browsers wait 4 ms after some timeouts in a row; where they can simply give way, nothing is waited for.
export const giveWay = () => globalThis.scheduler?.yield?.() ?? new Promise((resolve) => setTimeout(resolve))

export class Pace {
  constructor () {
    this.since = performance.now()
  }

  // Between two steps of the work: lets the page draw and listen where that was long ago.
  async step () {
    if (performance.now() - this.since < MAX_MS) return
    await giveWay()
    this.since = performance.now()
  }
}
