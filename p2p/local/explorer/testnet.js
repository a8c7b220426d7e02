// The switches of a testnet, where `testnet.py` opened this page: a node alone has none, and offers none.

const PLACE = 'goodfaith-testnet'
const GIVEN = /^#testnet=(http:\/\/127\.0\.0\.1:\d{1,5})\/([\w-]{16,64})$/
const TIMEOUT_MS = 10_000

// Whether the address tells where they are: also where it was typed into a page that is open.
export const tellsSwitches = () => GIVEN.test(location.hash)

// Where they are is in the part of the address that goes to no server; this tab remembers it, and shows it no longer.
export function switchesOfTestnet () {
  if (tellsSwitches()) {
    sessionStorage.setItem(PLACE, location.hash)
    history.replaceState(null, '', location.pathname + location.search + '#/')
  }
  const given = (sessionStorage.getItem(PLACE) ?? '').match(GIVEN)
  return given && new Switches(given[1], given[2])
}

class Switches {
  constructor (url, token) {
    Object.assign(this, { url, token, nodes: [], lab: null })
  }

  async refresh () {
    const { nodes, lab } = await this.ask('/nodes')
    Object.assign(this, { nodes, lab })
  }

  // What was done, in a sentence; raises an Error that says what went wrong.
  async turn (kind, node) {
    return (await this.ask(`/nodes/${encodeURIComponent(node)}/${kind}`, 'POST')).done
  }

  async ask (path, method = 'GET') {
    let answer
    try {
      answer = await fetch(this.url + path, { method, headers: { Authorization: `Bearer ${this.token}` }, signal: AbortSignal.timeout(TIMEOUT_MS) })
    } catch {
      throw new Error('testnet.py does not answer: it has ended, or was started again')
    }
    const body = await answer.json().catch(() => ({}))
    if (!answer.ok) throw new Error(body.detail ?? body.title ?? `testnet.py answers ${answer.status}`)
    return body
  }
}
