// A finding as a mark beside what it is about.

import { CHECKED, WRONG } from './check/findings.js'
import { el } from './dom.js'

export function stamp (finding) {
  if (!finding) return el('span', { class: 'stamp heard' }, '○ only heard from this node')
  const kind = finding.state === CHECKED ? 'checked' : finding.state === WRONG ? 'wrong' : 'heard'
  const sign = { checked: '✓ Checked: ', heard: '○ ', wrong: '! Wrong: ' }[kind]
  return el('span', { class: `stamp ${kind}` }, sign, finding.detail)
}
