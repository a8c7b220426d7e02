// Asking a node over HTTP.

const TIMEOUT_MS = 10_000

export class Problem extends Error {
  constructor (status, body) {
    super(body?.detail || body?.title || (status ? `the node answers ${status}` : 'the node does not answer'))
    this.status = status
    this.body = body
  }
}

export class Node {
  constructor (url = '', onNames = () => {}) {
    Object.assign(this, { url, onNames })
  }

  async json (path) {
    const answer = await this.ask(path)
    const body = await answer.json().catch(() => { throw new Problem(answer.status, { detail: 'what the node answers is not JSON' }) })
    if (body && typeof body === 'object' && body.names) this.onNames(body.names)
    return body
  }

  async bytes (path) {
    return new Uint8Array(await (await this.ask(path)).arrayBuffer())
  }

  async ask (path) {
    let answer
    try {
      answer = await fetch(this.url + path, { cache: 'no-cache', signal: AbortSignal.timeout(TIMEOUT_MS) })
    } catch {
      throw new Problem(0, null)
    }
    if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => null))
    return answer
  }

  // None where there is no such thing; whatever else is wrong is raised.
  async find (path) {
    try {
      return await this.json(path)
    } catch (error) {
      if ([400, 404].includes(error.status)) return null
      throw error
    }
  }
}
