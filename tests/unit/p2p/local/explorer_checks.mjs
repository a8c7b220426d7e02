// What the explorer finds in what nodes are said to have answered:  node explorer_checks.mjs < cases.json
// Each case: { name, pinned, member, answers, later, other }; `later` is what the same node answers afterwards.  Prints { name: { what: [state, detail] } }.

import { readFileSync } from 'node:fs'
import { unhex } from '../../../../p2p/local/explorer/check/bytes.js'
import { Findings } from '../../../../p2p/local/explorer/check/findings.js'
import { Follower } from '../../../../p2p/local/explorer/check/follower.js'
import * as inspection from '../../../../p2p/local/explorer/check/inspection.js'

class Told {
  constructor (answers) {
    this.answers = answers
  }

  async json (path) {
    const [name, query] = path.split('?')
    if (!(name in this.answers)) throw Object.assign(new Error(`no ${name}`), { status: 404 })
    if (name !== '/headers') return this.answers[name]
    const asked = new URLSearchParams(query)
    const from = Number(asked.get('from'))
    return { headers: this.answers[name].filter(({ height }) => height >= from).slice(0, Number(asked.get('limit'))) }
  }

  async bytes (path) {
    return unhex((await this.json(path)).bytes)
  }
}

async function findingsOf ({ pinned, member, answers, later, other }) {
  const api = new Told(answers)
  const findings = new Findings()
  const follower = new Follower(api, pinned)
  if (await inspection.begin(follower, findings)) {
    await claim(api, follower, findings)
    if (later) {
      api.answers = later
      await inspection.follow(follower, findings)
      await claim(api, follower, findings)
    }
    if (member) await inspection.member(follower, findings, member, await api.json(`/members/${member}/explanation`))
    if (other) await inspection.compare(follower, findings, new Told(other), 'the other')
  }
  return Object.fromEntries([...findings.found.values()].map(({ what, state, detail }) => [what, [state, detail]]))
}

async function claim (api, follower, findings) {
  const status = await api.json('/status')
  await inspection.claim(follower, findings, status.finalized_height, status.finalized_id)
}

const found = {}
for (const each of JSON.parse(readFileSync(0, 'utf8'))) found[each.name] = await findingsOf(each)
console.log(JSON.stringify(found))
