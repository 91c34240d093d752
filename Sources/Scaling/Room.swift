internal import Jobs
