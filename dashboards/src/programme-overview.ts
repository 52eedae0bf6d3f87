import type { Board } from './board.ts'

/** Evaluator's home: everything in the programme side by side. */
export const programmeOverview: Board = {
  id: 'programme-overview',
  title: 'Programme overview',
  description: 'How the apps of the programme are used, city by city, and how that compares with the period before.',
  scope: 'programme',
  sections: [
    {
      id: 'at-a-glance',
      title: 'At a glance',
      panels: [
        {
          id: 'page-views',
          title: 'Page views',
          description: 'Pages and screens opened in all deployments.',
          shape: 'stat',
          metric: 'page_views',
          unit: 'count',
          across: 'sum',
          better: 'more',
          course: true,
          width: 'quarter',
        },
        {
          id: 'daily-visitors',
          title: 'Daily visitors',
          description: 'Different visitors of a day, added up over deployments; over more days, the mean.',
          shape: 'stat',
          metric: 'daily_visitors',
          unit: 'count',
          across: 'mean of days',
          better: 'more',
          course: true,
          width: 'quarter',
        },
        {
          id: 'completion-rate',
          title: 'Journeys completed',
          description: 'Share of started journeys that were completed.',
          shape: 'stat',
          metric: 'journey_completion_rate',
          unit: 'ratio',
          across: 'pool',
          better: 'more',
          width: 'quarter',
        },
        {
          id: 'satisfied',
          title: 'Satisfied',
          description: 'Share of ratings that are 4 or 5 of 5.',
          shape: 'stat',
          metric: 'rating_satisfied',
          unit: 'ratio',
          across: 'pool',
          better: 'more',
          width: 'quarter',
        },
      ],
    },
    {
      id: 'trend',
      title: 'Over time',
      panels: [
        {
          id: 'page-views-trend',
          title: 'Page views over time',
          description: 'All deployments together, each in its own local days.',
          shape: 'trend',
          metric: 'page_views',
          unit: 'count',
          across: 'sum',
          width: 'full',
        },
      ],
    },
    {
      id: 'deployments',
      title: 'Deployments',
      panels: [
        {
          id: 'deployments',
          title: 'Every deployment',
          description: 'One app run by one organisation. Follow a name to its board.',
          shape: 'comparison',
          width: 'full',
          columns: [
            { metric: 'page_views', title: 'Page views', unit: 'count', better: 'more' },
            { metric: 'daily_visitors', title: 'Daily visitors', unit: 'count' },
            { metric: 'journey_completion_rate', title: 'Journeys completed', unit: 'ratio' },
            { metric: 'rating_satisfied', title: 'Satisfied', unit: 'ratio' },
          ],
        },
      ],
    },
  ],
}
