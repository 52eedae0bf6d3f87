import type { Board, Section } from './board.ts'

/** How far the numbers can be trusted; closes each deployment's board and stands alone for the programme. */
export const dataQualitySection: Section = {
  id: 'data-quality',
  title: 'Data quality',
  panels: [
    {
      id: 'visitor-coverage',
      title: 'Events with a visitor',
      description: 'The rest counts in views, not in visitors.',
      shape: 'stat',
      metric: 'visitor_coverage',
      unit: 'ratio',
      across: 'pool',
      better: 'more',
      width: 'quarter',
    },
    {
      id: 'bot-share',
      title: 'Bots',
      description: 'Share of events from programs; they are in no number.',
      shape: 'stat',
      metric: 'bot_share',
      unit: 'ratio',
      across: 'pool',
      width: 'quarter',
    },
    {
      id: 'beacon-loss',
      title: 'Lost on the way',
      description: 'Gaps in the numbering within a page load.',
      shape: 'stat',
      metric: 'beacon_loss',
      unit: 'ratio',
      across: 'pool',
      better: 'less',
      width: 'quarter',
    },
    {
      id: 'clock-corrected',
      title: 'Clocks put right',
      description: 'Share of events whose sender had the wrong time.',
      shape: 'stat',
      metric: 'clock_corrected_share',
      unit: 'ratio',
      across: 'pool',
      better: 'less',
      width: 'quarter',
    },
    {
      id: 'refused',
      title: 'Refused events',
      description: 'What was not accepted, and why. It is in no number.',
      shape: 'ranking',
      metric: 'refused_events',
      unit: 'count',
      across: 'sum',
      of: 'Reason',
      limit: 20,
      bars: 'largest',
      width: 'half',
    },
    {
      id: 'ledger',
      title: 'Ledger',
      description: 'Where every accepted event is, over all time.',
      shape: 'ledger',
      metric: 'ledger',
      width: 'half',
    },
  ],
}

/** The same for all deployments together. */
export const dataQuality: Board = {
  id: 'data-quality',
  title: 'Data quality',
  description: 'What reached us, what did not, what was left out and why: read it before you trust a number.',
  scope: 'programme',
  sections: [
    dataQualitySection,
    {
      id: 'by-deployment',
      title: 'By deployment',
      panels: [
        {
          id: 'by-deployment',
          title: 'Every deployment',
          description: 'Where to look first.',
          shape: 'comparison',
          width: 'full',
          columns: [
            { metric: 'events', title: 'Events', unit: 'count' },
            { metric: 'visitor_coverage', title: 'With a visitor', unit: 'ratio', better: 'more' },
            { metric: 'bot_share', title: 'Bots', unit: 'ratio' },
            { metric: 'beacon_loss', title: 'Lost on the way', unit: 'ratio', better: 'less' },
            { metric: 'refused_events', title: 'Refused', unit: 'count', better: 'less' },
          ],
        },
      ],
    },
  ],
}
